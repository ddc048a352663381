"""What each pretraining of a study takes."""

import contextlib
import io
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

from pretrain.config import MergeConfig, PretrainConfig
from pretrain.measure.config import MachinesConfig, PretrainPlanConfig
from pretrain.measure.plan import Plan, plan_pretraining
from pretrain.merge import merge_checkpoints
from stackbert.adaptations import Chain, PhaseStages, distinct_phases, with_labels
from stackbert.core.artifact import Manifest, made_with
from stackbert.core.workers import run_apart
from stackbert.guard import start_quietly
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.table import StagePlan
from stackbert.planning.text import TextPlan
from stackbert.study import Study, chains_of


class PretrainingPlan:
    """The pretrainings: finished ones as they are, the others measured on the rows, or on those of a sample."""

    def __init__(self, study: Study, config: StudyPlanConfig, folder: Path) -> None:
        """`folder` is a temporary one, for stand-ins. Raises StackbertError where `run` refuses a finished stage."""
        self._study, self._config, self._folder = study, config, folder
        self._finished: dict[str, Manifest] = {}
        for phase in distinct_phases(chains_of(study)):
            run = phase.run_config(Path(study.out), study.pretrain.base)
            made = made_with(Path(study.out) / phase.checkpoint, run.recorded)
            if made:
                self._finished[phase.checkpoint] = made
        self._checkpoints: dict[str, str] = {}

    def stages(self, text: TextPlan, machines: int) -> list[StagePlan]:
        """All of them, in order."""
        plans = []
        for chain in chains_of(self._study):
            for phase in chain.phases:
                if phase.checkpoint not in self._checkpoints:
                    plans.append(self._stage(text, phase, machines))
            if self._study.merged:
                plans.append(self._merging(chain, machines))
        return plans

    def checkpoint(self, chain: Chain) -> str:
        """The last phase's checkpoint, or one of the same shapes that stands in for it."""
        return self._checkpoints[chain.last.checkpoint]

    def _stage(self, text: TextPlan, phase: PhaseStages, machines: int) -> StagePlan:
        name = phase.checkpoint
        if name in self._finished:
            self._checkpoints[name] = str(Path(self._study.out) / name)
            return _done(name, self._finished[name], machines)
        print(f"measuring {name}", file=sys.stderr, flush=True)
        plan = self._measure(text, phase)
        self._checkpoints[name] = str(self._folder / name)
        return _stage(name, plan)

    def _merging(self, chain: Chain, machines: int) -> StagePlan:
        name, config = f"merged/{chain.folder}", MergeConfig(self._study.merged)
        checkpoint = self.checkpoint(chain)
        made = made_with(Path(self._study.out) / name, config)
        if made:
            return StagePlan(name, "", (0.0,) * machines, made.bytes, done=True)
        start = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):  # a checkpoint with itself takes as long as with its base
            merged = merge_checkpoints(Path(checkpoint), Path(checkpoint), self._folder / name, config)
        return StagePlan(name, "", (time.monotonic() - start,) * machines, merged.bytes)

    def _measure(self, text: TextPlan, phase: PhaseStages) -> Plan:
        rows, tokenizer, gigabytes = text.rows(phase)
        shared = {each.name: getattr(self._config, each.name) for each in fields(MachinesConfig)}
        request = PretrainPlanConfig(**shared, text_gigabytes=gigabytes)
        base = self._checkpoints[phase.before] if phase.before else self._study.pretrain.base
        pretrain: PretrainConfig = with_labels(replace(phase.pretrain, base=base), text.labels())
        checkpoint = self._folder / phase.checkpoint
        return run_apart(plan_pretraining, rows, tokenizer, pretrain, request, checkpoint, prepare=start_quietly)


def _stage(name: str, plan: Plan) -> StagePlan:
    seconds = tuple(one.hours * 3600 if one.fits else None for one in plan.estimates)
    work = f"{plan.tokens:,} tokens, {plan.steps:,} steps, {plan.epochs:,.2f} epochs"
    return StagePlan(name, work, seconds, plan.disk, plan.estimates[0].memory)


def _done(name: str, made: Manifest, machines: int) -> StagePlan:
    work = f"{made.counts['tokens']:,} tokens, {made.counts['steps']:,} steps"
    return StagePlan(name, work, (0.0,) * machines, made.bytes, done=True)
