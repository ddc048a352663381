"""Gain from more labelled texts, and from more pretraining: the same fine-tuning at several amounts of either."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from finetune.compare.comparison import LabelGain, LabelGainPoint, TokenGain, TokenGainPoint
from finetune.compare.results import against_baseline, phases_of
from finetune.config import CompareConfig
from finetune.metrics.labels_saved import CurveResamples, LabelsSaved, Scores, labels_saved
from finetune.metrics.significance import Interval, summarize
from finetune.trials.systems import System
from finetune.trials.task import Task
from finetune.trials.trial import Trial
from finetune.trials.trial_runner import TrialRunner
from stackbert.core.artifact import load_manifest
from stackbert.core.checkpoints import CHECKPOINTS

Trials = Mapping[str, list[Trial]]
"""The trials of each system, by its name."""


def run_label_sizes(
    runner: TrialRunner, systems: Sequence[System], task: Task, config: CompareConfig, folder: Path
) -> dict[int, Trials]:
    """The trials of every system at each of `config.label_sizes`, in ascending order."""
    by_size: dict[int, dict[str, list[Trial]]] = {size: {} for size in sorted(config.label_sizes)}
    tasks = {size: task.with_train_size(size) for size in by_size}
    for system in systems:  # all sizes of one in a row, as they are compiled once
        for size, trials in by_size.items():
            print(f"{system.name}, {size:,} training texts", flush=True)
            trials[system.name] = runner.run(system, tasks[size], system.folder(folder / str(size)))
    return dict(by_size)


def run_exports(
    runner: TrialRunner, systems: Sequence[System], task: Task, config: CompareConfig, folder: Path
) -> dict[str, dict[int, list[Trial]]]:
    """The trials of the exported checkpoints of each system that has any, by its name and the number of tokens."""
    if not config.include_exports:
        return {}
    exporting = [system for system in systems if exported_checkpoints(system.checkpoint)]
    return {system.name: _export_trials(runner, system, task, system.folder(folder)) for system in exporting}


def gain_against_labels(
    systems: Sequence[System], trials: Trials, by_size: Mapping[int, Trials], task: Task, config: CompareConfig
) -> list[LabelGain]:
    """Every system at each of `config.label_sizes` (`by_size`), and on all training texts (`trials`)."""
    if not by_size:
        return []
    all_sizes = {**by_size, len(task.splits["train"].texts): trials}
    saved = _labels_saved(systems, all_sizes, task, config)
    gains = []
    for system in systems:
        points = []
        for number, (size, of_size) in enumerate(all_sizes.items()):
            own, baseline = of_size[system.name], of_size[config.baseline]
            difference = against_baseline(own, baseline, task, config)
            worth = saved[system.name][number] if system.name in saved else None
            points.append(LabelGainPoint(size, _weighted_f1(own), difference, phases_of(own), worth))
        gains.append(LabelGain(system.name, points))
    return gains


def _labels_saved(
    systems: Sequence[System], all_sizes: Mapping[int, Trials], task: Task, config: CompareConfig
) -> dict[str, list[LabelsSaved]]:
    """Labels saved at each number of training texts, for each system but the baseline."""
    resamples, curves = CurveResamples(task.splits["test"].targets, config.resamples), dict[str, Scores]()
    for number, system in enumerate(systems):
        curves[system.name] = np.array([
            resamples.weighted_f1(
                [(trial.test_NL, trial.thresholds_L) for trial in of_size[system.name]], number, size
            )
            for size, of_size in all_sizes.items()
        ])  # fmt: skip
    baseline = curves.pop(config.baseline)
    return {name: labels_saved(list(all_sizes), curve, baseline) for name, curve in curves.items()}


def gain_against_tokens(
    systems: Sequence[System],
    trials: Trials,
    exports: Mapping[str, Mapping[int, list[Trial]]],
    task: Task,
    config: CompareConfig,
    identities: Mapping[str, str],
) -> list[TokenGain]:
    """The exported checkpoints of each system's pretraining (`exports`), and its last one (`trials`).

    The first point, at 0 tokens, is the unadapted base if it is among the systems; `identities` of the checkpoints
    tell which one the pretraining's manifest names.
    """
    gains = []
    for system in systems:
        if system.name not in exports:
            continue
        by_tokens = {**exports[system.name], _exported_tokens(system): trials[system.name]}
        base = _unadapted_base(system, systems, identities)
        if base:
            by_tokens = {0: trials[base.name], **by_tokens}
        points = [
            TokenGainPoint(tokens, _weighted_f1(own), against_baseline(own, trials[config.baseline], task, config))
            for tokens, own in by_tokens.items()
        ]
        gains.append(TokenGain(system.name, points))
    return gains


def exported_checkpoints(checkpoint: str) -> list[Path]:
    """Intermediate checkpoints exported by the pretraining of `checkpoint`, in order; none for other checkpoints."""
    return sorted((Path(checkpoint) / CHECKPOINTS).glob("step-*"), key=_step_of) if checkpoint else []


def _export_trials(runner: TrialRunner, system: System, task: Task, folder: Path) -> dict[int, list[Trial]]:
    """Trials of each exported checkpoint of a system, by its number of tokens."""
    last, by_tokens = _history(system)[-1], {}
    for checkpoint in exported_checkpoints(system.checkpoint):
        print(f"{system.name}, {checkpoint.name}", flush=True)
        tokens = last["tokens"] * _step_of(checkpoint) // last["step"]
        export = replace(system, checkpoint=str(checkpoint))
        by_tokens[tokens] = runner.run(export, task, folder / checkpoint.name)
    return by_tokens


def _exported_tokens(system: System) -> int:
    """Tokens that the last checkpoint of a system was trained on: a probe can have chosen one from along the run."""
    history = _history(system)
    step = load_manifest(Path(system.checkpoint)).counts.get("exported_step", history[-1]["step"])
    return next(int(point["tokens"]) for point in history if point["step"] == step)


def _unadapted_base(system: System, systems: Sequence[System], identities: Mapping[str, str]) -> System | None:
    """The system whose checkpoint is the base of the pretraining of `system`, on the same texts."""
    base = load_manifest(Path(system.checkpoint)).inputs.get("base")
    if not base:
        return None
    matching = [each for each in systems if identities.get(each.checkpoint) == base and each.cleaned == system.cleaned]
    return matching[-1] if matching else None


def _history(system: System) -> list[dict[str, int]]:
    """The validations of the pretraining of a system, with their steps and tokens."""
    history: list[dict[str, int]] = json.loads((Path(system.checkpoint) / "history.json").read_text("utf-8"))
    return history


def _weighted_f1(trials: list[Trial]) -> Interval:
    return summarize([trial.summary.phases.whole["weighted_f1"] for trial in trials])


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
