"""What the comparison of a study takes."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from corpora.labels.labelled_set import Split
from finetune.config import CompareConfig, FinetunePreflightConfig
from finetune.measure.preflight import preflight
from finetune.measure.rates import FineTuningRates, measure_fine_tuning
from finetune.trials.fine_tuner import load_for
from finetune.trials.systems import BASELINES, CLEANED, System, systems_of
from finetune.trials.task import SPLITS, Task, load_task
from pretrain.train.replicas import find_replicas
from stackbert.adaptations import GENERIC
from stackbert.core.artifact import made_with
from stackbert.core.workers import run_apart
from stackbert.guard import start_quietly
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.pretraining import PretrainingPlan
from stackbert.planning.scaling import extrapolate
from stackbert.planning.table import StagePlan
from stackbert.planning.text import TextPlan
from stackbert.study import MERGED, Study, chains_of

BASELINE_TEXTS = 500  # that a baseline is measured on; a fifth as many, too
Sizes = tuple[int, int, int]
"""Texts of train, dev and test."""
Rates = list[FineTuningRates | None]
"""On this machine and on each slice; None where a checkpoint does not fit."""


@dataclass(frozen=True)
class Training:
    """A system fine-tuned with all its seeds, on one number of training texts."""

    system: System
    checkpoint: str
    """The checkpoint whose rates it has; empty for a baseline."""
    sizes: Sizes
    round: int
    """Systems are trained on all texts, then on fewer (`label_sizes`), then their exported checkpoints."""
    saves: bool = False
    """Whether the first seed's classifier is kept."""
    compiles: bool = False
    """Whether the checkpoint trained before it has other shapes."""


class ComparisonPlan:
    """The trials of every system, from short ones of each kind of checkpoint."""

    def __init__(self, study: Study, config: StudyPlanConfig, unadapted: dict[str, str]) -> None:
        """Raises StackbertError where `run` refuses the finished comparison."""
        self._study, self._config, self._unadapted = study, config, unadapted
        names = [*unadapted, *(chain.name for chain in chains_of(study))]
        recorded = replace(study.compare, baseline=study.compare.baseline or names[0]).recorded
        self._finished = made_with(Path(study.out) / "comparison", recorded)

    def stages(self, text: TextPlan, pretraining: PretrainingPlan, machines: int) -> list[StagePlan]:
        """One for each system, with its trials at further numbers of texts and of exported checkpoints."""
        if self._finished:
            return [StagePlan("comparison", "", (0.0,) * machines, self._finished.bytes, done=True)]
        compare = self._study.compare
        kinds = self._kinds(pretraining)
        systems = systems_of(dict.fromkeys(kinds, "checkpoint"), compare)
        whole = text.split_sizes
        task = load_task(text.labels(), replace(compare, label_sizes=()))
        rates = {}
        for checkpoint in dict.fromkeys(kinds.values()):
            print(f"measuring the fine-tuning of {checkpoint}", file=sys.stderr, flush=True)
            rates[checkpoint] = run_apart(_measured, checkpoint, task, compare, self._config, prepare=start_quietly)
        plans = []
        planned = list(with_compiling(self._trainings(systems, kinds, whole)))
        for system in systems:
            trainings = [each for each in planned if each.system == system]
            name, work = f"comparison: {system.name}", _work(trainings, compare)
            own = rates.get(trainings[0].checkpoint)
            if own:
                took = tuple(_seconds(each, trainings, compare) for each in own)
                disk, memory = own[0].disk * trainings[0].saves if own[0] else 0, own[0].memory if own[0] else 0
                plans.append(StagePlan(name, work, took, disk, memory))
                continue
            times = baseline_seconds(system, task, whole)
            took = (sum(times(each.sizes) for each in trainings) * len(system.seeds(compare)),) * machines
            plans.append(StagePlan(name, work, took, 0))
        return plans

    def _trainings(self, systems: Sequence[System], kinds: dict[str, str], whole: Sizes) -> Iterator[Training]:
        for system in systems:
            checkpoint = kinds.get(system.name.removesuffix(CLEANED), "")
            yield Training(system, checkpoint, whole, 0, saves=system.kind == "encoder" and not system.cleaned)
            for size in self._study.compare.label_sizes:
                yield Training(system, checkpoint, (size, *whole[1:]), 1)
            for _ in range(self._exports(system)):
                yield Training(system, checkpoint, whole, 2)

    def _kinds(self, pretraining: PretrainingPlan) -> dict[str, str]:
        """The checkpoint whose shapes each system has: the base's, or those of the stand-in."""
        kinds = dict(self._unadapted)
        for chain in chains_of(self._study):
            is_generic = chain.vocabulary == GENERIC
            kinds[chain.name] = self._study.pretrain.base if is_generic else pretraining.checkpoint(chain)
            if self._study.merged:
                kinds[chain.name + MERGED] = kinds[chain.name]
        return kinds

    def _exports(self, system: System) -> int:
        chains = {chain.name: chain for chain in chains_of(self._study)}
        chain = chains.get(system.name.removesuffix(CLEANED))
        return chain.last.pretrain.exports if self._study.compare.include_exports and chain else 0


def _measured(checkpoint: str, task: Task, compare: CompareConfig, config: StudyPlanConfig) -> Rates:
    recipe = compare.recipe
    here = measure_fine_tuning(checkpoint, task, recipe, find_replicas(compare.device), config.seconds)
    model = load_for(checkpoint, recipe)[0] if config.topologies else None
    rates: Rates = [here]
    for topology in config.topologies:
        request = FinetunePreflightConfig(
            num_labels=len(task.labels),
            text_tokens=max(1, round(here.tokens)),
            topology=topology,
            compiler_python=config.compiler_python,
            recipe=recipe,
        )
        rates.append(here.on_slice(preflight(request, model), config.roofline_share))
    return rates


def _seconds(rates: FineTuningRates | None, trainings: list[Training], compare: CompareConfig) -> float | None:
    if rates is None:
        return None
    recipe, whole = compare.recipe, trainings[0]
    trials = sum(
        rates.seconds(each.sizes, recipe, len(compare.seeds), compiles=each.compiles, saves=each.saves)
        for each in trainings
    )
    tried = len(compare.search_poolings), len(compare.search_learning_rates)
    return trials + rates.search_seconds(whole.sizes, recipe, *tried, compiles=whole.compiles)


def with_compiling(trainings: Iterable[Training]) -> Iterator[Training]:
    """The trainings in the order in which they run, as what is compiled serves the next of the same shapes."""
    previous = ""
    for training in sorted(trainings, key=lambda each: each.round):  # stable: systems keep their order
        yield replace(training, compiles=training.checkpoint not in ("", previous))
        previous = training.checkpoint or previous


def _work(trainings: list[Training], compare: CompareConfig) -> str:
    seeds = len(trainings[0].system.seeds(compare))
    train = sum(each.sizes[0] for each in trainings)
    epochs = f", {compare.recipe.epochs} epochs at most" if trainings[0].checkpoint else ""
    tried = len(compare.search_poolings) + len(compare.search_learning_rates)
    search = f", {tried} candidates" if tried and trainings[0].checkpoint else ""
    return f"{train:,} texts{epochs}, {seeds} seed{'' if seeds == 1 else 's'}{search}"


def baseline_seconds(system: System, task: Task, whole: Sizes) -> Callable[[Sizes], float]:
    """Seconds of a baseline's trial by its sizes, from trials on two samples."""
    amounts, seconds = [], []
    for number in (BASELINE_TEXTS // 5, BASELINE_TEXTS):
        part = min(1.0, number / len(task.splits["train"].texts))
        splits = [_part(task.splits[name], part) for name in SPLITS]
        start = time.monotonic()
        BASELINES[system.name](*splits, 0)
        seconds.append(time.monotonic() - start)
        amounts.append(sum(len(split.texts) for split in splits))
    return lambda sizes: extrapolate([(1, amount) for amount in amounts], seconds, (1, sum(sizes)))


def _part(split: Split, share: float) -> Split:
    count = max(1, round(share * len(split.texts)))
    return Split(split.ids[:count], split.texts[:count], split.targets[:count])
