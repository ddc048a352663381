"""What each pretraining of a study takes."""

import contextlib
import io
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

from pretrain.config import MachinesConfig, MergeConfig, PretrainConfig, PretrainPlanConfig
from pretrain.measure.plan import Plan, plan_pretraining
from pretrain.merge import merge_checkpoints
from stackbert.core.artifact import Manifest, made_with
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.table import StagePlan
from stackbert.planning.text import TextPlan
from stackbert.study import Study, StudyPhase, adapted_names, phases_of


class PretrainingPlan:
    """The pretrainings: finished ones as they are, the others measured on the rows, or on those of a sample."""

    def __init__(self, study: Study, config: StudyPlanConfig, folder: Path) -> None:
        """`folder` is a temporary one, for stand-ins. Raises StackbertError where `run` refuses a finished stage."""
        self._study, self._config, self._folder = study, config, folder
        self._finished: dict[str, Manifest] = {}
        for kind in adapted_names(study):
            base = study.pretrain.base
            for phase, suffix in phases_of(study):
                name = f"pretrained{suffix}/{kind}"
                made = made_with(Path(study.out) / name, replace(phase.pretrain, base=base).recorded)
                base = str(Path(study.out) / name)
                if made:
                    self._finished[name] = made
        self._checkpoints: dict[str, str] = {}

    def stages(self, text: TextPlan, machines: int) -> list[StagePlan]:
        """All of them, in order."""
        plans = []
        for kind in adapted_names(self._study):
            checkpoint = self._study.pretrain.base
            for phase, suffix in phases_of(self._study):
                name = f"pretrained{suffix}/{kind}"
                if name in self._finished:
                    checkpoint = str(Path(self._study.out) / name)
                    plans.append(_done(name, self._finished[name], machines))
                else:
                    print(f"measuring {name}", file=sys.stderr, flush=True)
                    plan = self._measure(text, phase, (suffix, kind), checkpoint)
                    checkpoint = str(self._folder / name)
                    plans.append(_stage(name, plan))
            self._checkpoints[kind] = checkpoint
            if self._study.merged:
                plans.append(self._merging(kind, checkpoint, machines))
        return plans

    def checkpoint(self, kind: str) -> str:
        """The last phase's checkpoint, or one of the same shapes that stands in for it."""
        return self._checkpoints[kind]

    def _merging(self, kind: str, checkpoint: str, machines: int) -> StagePlan:
        name, config = f"merged/{kind}", MergeConfig(self._study.merged)
        made = made_with(Path(self._study.out) / name, config)
        if made:
            return StagePlan(name, "", (0.0,) * machines, made.bytes, done=True)
        start = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):  # a checkpoint with itself takes as long as with its base
            merged = merge_checkpoints(Path(checkpoint), Path(checkpoint), self._folder / name, config)
        return StagePlan(name, "", (time.monotonic() - start,) * machines, merged.bytes)

    def _measure(self, text: TextPlan, phase: StudyPhase, rows_name: tuple[str, str], checkpoint: str) -> Plan:
        rows, tokenizer, gigabytes = text.rows(*rows_name)
        shared = {each.name: getattr(self._config, each.name) for each in fields(MachinesConfig)}
        request = PretrainPlanConfig(**shared, text_gigabytes=gigabytes)
        pretrain: PretrainConfig = replace(phase.pretrain, base=checkpoint)
        suffix, kind = rows_name
        return plan_pretraining(rows, tokenizer, pretrain, request, self._folder / f"pretrained{suffix}" / kind)


def _stage(name: str, plan: Plan) -> StagePlan:
    seconds = tuple(one.hours * 3600 if one.fits else None for one in plan.estimates)
    work = f"{plan.tokens:,} tokens, {plan.steps:,} steps, {plan.epochs:,.2f} epochs"
    return StagePlan(name, work, seconds, plan.disk, plan.estimates[0].memory)


def _done(name: str, made: Manifest, machines: int) -> StagePlan:
    work = f"{made.counts['tokens']:,} tokens, {made.counts['steps']:,} steps"
    return StagePlan(name, work, (0.0,) * machines, made.bytes, done=True)
