"""What each pretraining of a study takes."""

import sys
from dataclasses import fields, replace
from pathlib import Path

from pretrain.config import MachinesConfig, PretrainConfig, PretrainPlanConfig
from pretrain.measure.plan import Plan, plan_pretraining
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
        return plans

    def checkpoint(self, kind: str) -> str:
        """The last phase's checkpoint, or one of the same shapes that stands in for it."""
        return self._checkpoints[kind]

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
    disk = sum(int(file["bytes"]) for file in made.files.values())
    work = f"{made.counts['tokens']:,} tokens, {made.counts['steps']:,} steps"
    return StagePlan(name, work, (0.0,) * machines, disk, done=True)
