"""Aggregates the trials of a comparison: the table, the verdict and everything else that the report shows."""

# N texts, L labels

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from finetune.classifier.phases import best_epoch
from finetune.compare.choices import search_warnings
from finetune.compare.comparison import (
    Comparison,
    DataSummary,
    Example,
    Phases,
    PhaseScores,
    PretrainingCurve,
    SeedCurves,
    SystemResult,
)
from finetune.config import CompareConfig, FinetuneConfig
from finetune.metrics.diagnostics import calibration, worst_errors
from finetune.metrics.metrics import DEFINITIONS, LabelMetrics, per_label
from finetune.metrics.significance import Difference, compare_weighted_f1, summarize
from finetune.trials.search import Search
from finetune.trials.systems import System
from finetune.trials.task import Task
from finetune.trials.trial import Trial
from stackbert.core.artifact import MANIFEST, load_manifest
from stackbert.core.checkpoints import resolve_base
from tokenizer.encoding.reader import load_reader

EXAMPLES = 4
EXAMPLE_CANDIDATES = 500
"""Number of test texts among which those are chosen that the vocabularies split most differently."""
MANY_WITHOUT_LABEL = 0.25
"""Share of texts without any predicted label from which a warning is given."""


def build_comparison(
    task: Task,
    systems: Sequence[System],
    trials: Mapping[str, list[Trial]],
    searches: Sequence[Search],
    config: CompareConfig,
) -> Comparison:
    """The comparison from the trials of each system, without gains, settings and versions."""
    checkpoints = {system.name: system.checkpoint for system in systems if system.checkpoint and not system.cleaned}
    results = [_system_result(system, trials, task, config) for system in systems]
    return Comparison(
        title=config.title or "Comparison of encoders",
        verdict=verdict(results, config.baseline),
        equivalences=equivalences(results, config.baseline, config.equivalence_points),
        warnings=[*warnings_of(results, config.recipe), *search_warnings(searches), *_duplicate_warnings(task)],
        data=DataSummary(
            labels=list(task.labels),
            **{name: len(split.texts) for name, split in task.splits.items()},
            labels_per_text=float(task.splits["test"].targets.sum(1).mean()),
            test_from=task.test_from,
        ),
        recipe=dataclasses.asdict(config.recipe),
        seeds=list(config.seeds),
        baseline=config.baseline,
        equivalence_points=config.equivalence_points,
        systems=results,
        searches=list(searches),
        pretraining=[
            PretrainingCurve(name, curve)
            for name, source in checkpoints.items()
            if (curve := _token_curve(Path(source)))
        ],
        examples=_examples(task, checkpoints),
        definitions=DEFINITIONS,
    )


def warnings_of(systems: Sequence[SystemResult], recipe: FinetuneConfig) -> list[str]:
    """Warnings for systems whose best epoch was the last one allowed, or that leave texts or labels unpredicted."""
    found = []
    improving = [
        system.name
        for system in systems
        if any(best_epoch(curve.whole, recipe.best_by).epoch == recipe.epochs for curve in system.curves)
    ]
    if improving:
        names = ", ".join(improving)
        found.append(f"Best on dev in the last epoch, so that more epochs may change the table: {names}.")
    for system in systems:
        share = system.metrics["without_label"].mean
        if share >= MANY_WITHOUT_LABEL:
            found.append(f"{system.name} predicts no label for {100 * share:.0f} % of the test texts.")
        missed = [each.label for each in system.per_label if each.support and each.recall == 0]
        if missed:
            found.append(f"{system.name} has recall 0 for {len(missed)} of the labels: {', '.join(missed[:8])}.")
    return found


def against_baseline(own: list[Trial], baseline: list[Trial], task: Task, config: CompareConfig) -> Difference | None:
    """Difference in weighted F1 to the baseline after fine-tuning; None for the baseline itself."""
    if own is baseline:
        return None
    ours, theirs = ([(trial.test_NL, trial.thresholds_L) for trial in side] for side in (own, baseline))
    return compare_weighted_f1(task.splits["test"].targets, ours, theirs, config.resamples, config.margin)


def verdict(systems: Sequence[SystemResult], baseline: str) -> str:
    """Whether any checkpoint is better than the baseline in weighted F1, and any system without an encoder."""
    sentences = [_verdict_on_encoders(systems, baseline)]
    for system in systems:
        against = system.against_baseline
        if system.kind != "encoder" and against and against.verdict == "better":
            sentences.append(f"{system.name} is better than {baseline} ({100 * against.difference:+.1f} points).")
    return " ".join(sentences)


def equivalences(systems: Sequence[SystemResult], baseline: str, points: float) -> list[str]:
    """A sentence for each system that is equivalent to the baseline within `points`, with what it costs beside it."""
    [reference] = [system for system in systems if system.name == baseline]
    return [
        _equivalence(system, against, reference, points)
        for system in systems
        if (against := system.against_baseline) and against.equivalent
    ]


def _verdict_on_encoders(systems: Sequence[SystemResult], baseline: str) -> str:
    others = [(s.name, s.against_baseline) for s in systems if s.kind == "encoder" and s.against_baseline]
    if not others:
        return f"Only {baseline} was fine-tuned, so there is nothing to compare it with."
    better = [(name, against) for name, against in others if against.verdict == "better"]
    best, found = max(better or others, key=lambda other: other[1].difference)
    difference, low, high = _in_points(found.difference, found.low, found.high)
    points = f"{difference} points of weighted F1, 95 % interval {low} to {high}"
    if len(others) > 2:
        points += f", the best of {len(others)}, not corrected for multiple comparisons"
    if found.verdict == "better":
        return f"{best} is better than {baseline}: {points}."
    if found.verdict == "worse":
        return f"No other checkpoint is better than {baseline}; the nearest, {best}, is worse: {points}."
    return f"No gain is shown over {baseline}: the best of the others, {best}, makes no difference ({points})."


def _equivalence(system: SystemResult, against: Difference, baseline: SystemResult, points: float) -> str:
    difference, low, high = _in_points(against.difference, against.low_90, against.high_90)
    also = "" if against.verdict == "no difference" else "also "
    return (
        f"{system.name} is {also}equivalent within {points:g} point{'' if points == 1 else 's'} to {baseline.name} "
        f"({difference}, 90 % interval {low} to {high}){_cost_words(system, baseline)}."
    )


def _cost_words(system: SystemResult, baseline: SystemResult) -> str:
    """Tokens per text and texts per second beside the baseline's, where both have them."""
    words = []
    if system.tokens_per_text and baseline.tokens_per_text:
        ratio = baseline.tokens_per_text / system.tokens_per_text
        fewer = f"{ratio:.2f}x fewer" if ratio > 1 else f"{1 / ratio:.2f}x more"
        words.append(f"{'as many' if fewer.startswith('1.00') else fewer} tokens per text")
    if system.texts_per_second and baseline.texts_per_second:
        words.append(f"{system.texts_per_second / baseline.texts_per_second:.2f}x the texts/s")
    return f", with {' and '.join(words)}" if words else ""


def _in_points(*differences: float) -> list[str]:
    """Differences in points, with a second decimal where one would show a false zero."""
    points = [100 * difference for difference in differences]
    digits = 2 if any(0 < abs(each) < 0.05 for each in points) else 1
    return [f"{each:+.{digits}f}" for each in points]


def _duplicate_warnings(task: Task) -> list[str]:
    """A warning if test texts are also among the training or dev texts."""
    seen = {text for name in ("train", "dev") for text in task.splits[name].texts}
    count = sum(text in seen for text in task.splits["test"].texts)
    return [f"{count:,} of the test texts are, word for word, among the training or dev texts."] if count else []


def _system_result(
    system: System, trials: Mapping[str, list[Trial]], task: Task, config: CompareConfig
) -> SystemResult:
    targets_NL, own = task.splits["test"].targets, trials[system.name]
    summaries = [trial.summary for trial in own]
    wholes = [summary.phases.whole for summary in summaries]
    stages, cost = summaries[0].seconds, summaries[0].cost
    return SystemResult(
        name=system.name,
        kind=system.kind,
        checkpoint=system.checkpoint or None,
        **vars(cost),
        adapted_tokens=_adapted_tokens(system.checkpoint),
        phases=phases_of(own),
        metrics={name: summarize([whole[name] for whole in wholes]) for name in DEFINITIONS},
        thresholds=[sorted(set(summary.thresholds)) for summary in summaries],
        per_label=_mean_per_label(targets_NL, own, task.labels),
        curves=[
            SeedCurves(seed, summary.curves.head, summary.curves.whole)
            for seed, summary in zip(config.seeds, summaries, strict=False)
            if summary.curves
        ],
        seconds={stage: float(np.mean([summary.seconds[stage] for summary in summaries])) for stage in stages},
        against_baseline=against_baseline(own, trials[config.baseline], task, config),
        calibration=calibration(targets_NL, [trial.test_NL for trial in own]),
        errors=worst_errors(task.splits["test"], own[0].test_NL, own[0].thresholds_L, task.labels),
    )


def phases_of(trials: Sequence[Trial]) -> Phases:
    """The main metrics of a system after each phase, over its seeds."""
    heads = [trial.summary.phases.head for trial in trials if trial.summary.phases.head]
    whole = _phase_scores([trial.summary.phases.whole for trial in trials])
    return Phases(head=_phase_scores(heads) if heads else None, whole=whole)


def _phase_scores(metrics: list[dict[str, float]]) -> PhaseScores:
    """The main metrics over seeds."""
    val_acc, weighted_f1 = (summarize([each[name] for each in metrics]) for name in ("val_acc", "weighted_f1"))
    return PhaseScores(val_acc, weighted_f1)


def _token_curve(checkpoint: Path) -> list[dict[str, float]]:
    """The validations of a run that masks tokens; none for another objective, or a checkpoint without a run."""
    if not (checkpoint / MANIFEST).is_file() or load_manifest(checkpoint).stage != "pretrain run":
        return []
    curve: list[dict[str, float]] = json.loads((checkpoint / "history.json").read_text("utf-8"))
    return curve if "bits_per_byte" in curve[0] else []


def _adapted_tokens(checkpoint: str) -> int | None:
    """Tokens of the pretraining that made a checkpoint, over all its phases, if it has a manifest."""
    if not checkpoint or not (Path(checkpoint) / MANIFEST).is_file():
        return None
    counts = load_manifest(Path(checkpoint)).counts
    tokens: int | None = counts.get("total_tokens", counts.get("tokens"))
    return tokens


def _mean_per_label(
    targets_NL: npt.NDArray[np.uint8], trials: list[Trial], names: tuple[str, ...]
) -> list[LabelMetrics]:
    """Metrics of each label, averaged over trials."""
    tables = [per_label(targets_NL, trial.test_NL, trial.thresholds_L, names) for trial in trials]
    return [
        dataclasses.replace(
            entries[0],
            precision=float(np.mean([entry.precision for entry in entries])),
            recall=float(np.mean([entry.recall for entry in entries])),
            f1=float(np.mean([entry.f1 for entry in entries])),
        )
        for entries in zip(*tables, strict=True)
    ]


def _examples(task: Task, checkpoints: Mapping[str, str]) -> list[Example]:
    """Test texts as each vocabulary splits them: the first two, then those whose token counts differ most."""
    texts = [" ".join(text.split())[:160] for text in task.splits["test"].texts[:EXAMPLE_CANDIDATES]]
    tokens_of = {}
    for name, source in checkpoints.items():
        tokenizer = load_reader(resolve_base(source)).tokenizer
        tokens_of[name] = [found.tokens for found in tokenizer.encode_batch(texts, add_special_tokens=False)]

    def spread(index: int) -> int:
        lengths = [len(tokens[index]) for tokens in tokens_of.values()]
        return max(lengths, default=0) - min(lengths, default=0)

    first, others = range(len(texts))[: EXAMPLES // 2], range(len(texts))[EXAMPLES // 2 :]
    chosen = [*first, *sorted(others, key=spread, reverse=True)[: EXAMPLES - len(first)]]
    return [Example(texts[index], {name: tokens[index] for name, tokens in tokens_of.items()}) for index in chosen]
