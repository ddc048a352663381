"""Plots of a comparison: intervals, learning curves, pretraining and labels."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from finetune.classifier.phases import EpochRecord, best_epoch
from finetune.compare.comparison import Comparison, PretrainingCurve, SystemResult
from finetune.metrics.significance import Interval
from pretrain.measure.curves import curves_plot
from stackbert.core.drawing import COLOURS, MARKERS, Plot, draw_plot

Phase = Literal["head", "whole"]

MAX_LABELS = 60
"""Number of labels drawn; the table below the plot has all."""
MAX_NAME = 22
"""Characters per line of a name beside an axis; the page has the full names."""

PHASES: dict[Phase, str] = {"head": "Head on the frozen encoder", "whole": "Fine-tuned whole"}


def build_plots(comparison: Comparison) -> dict[str, list[Plot]]:
    """The panels of each figure by its name; a figure without data has none."""
    systems = comparison.systems
    best_by = {"head": "loss", "whole": comparison.recipe["best_by"]}
    return {
        "intervals": [plot for phase in PHASES for plot in intervals_panel(systems, phase, comparison.baseline)],
        "differences": differences_panel(systems, comparison.equivalence_points / 100),
        "curves": [plot for phase in PHASES for plot in curves_panel(systems, phase, best_by[phase])],
        "pretraining": pretraining_panel(systems, comparison.pretraining),
        "labels": label_panels(systems),
    }


def intervals_panel(systems: Sequence[SystemResult], phase: Phase, baseline: str) -> list[Plot]:
    """Weighted F1 of each system with its interval; the baseline's mean as a dashed line."""
    scores = [_weighted_f1(system, phase) for system in systems]
    names = [system.name for system in systems]
    if not any(scores):
        return []

    def draw(axes: Axes) -> None:
        for index, score in enumerate(scores):
            if score:
                _interval(axes, index, score)
            if score and names[index] == baseline:
                axes.axvline(score.mean, color="#8a8f98", linestyle="--", linewidth=1, zorder=0)
        _name_lines(axes, names)
        axes.set(title=PHASES[phase], xlabel="weighted F1 on the test texts")

    words = [
        f"{name} {score.mean:.3f}{_interval_words(score)}" for name, score in zip(names, scores, strict=True) if score
    ]
    return [draw_plot(draw, 1.1 + 0.52 * len(systems), f"Weighted F1, {PHASES[phase].lower()}: {'; '.join(words)}.")]


def differences_panel(systems: Sequence[SystemResult], margin: float) -> list[Plot]:
    """Difference of each system to the baseline with its 95 % (thin) and 90 % interval, over the band of +-`margin`."""
    known = [(index, each.name, found) for index, each in enumerate(systems) if (found := each.against_baseline)]
    if not known:
        return []

    def draw(axes: Axes) -> None:
        axes.axvspan(-margin, margin, color="#8a8f98", alpha=0.2, linewidth=0)
        axes.axvline(0, color="#8a8f98", linestyle="--", linewidth=1)
        for line, (index, _, found) in enumerate(known):
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            axes.plot([found.low, found.high], [line, line], color=colour, linewidth=1.2)
            axes.plot([found.low_90, found.high_90], [line, line], color=colour, linewidth=3.6, solid_capstyle="butt")
            axes.plot(found.difference, line, color=colour, marker=marker, markersize=5)
        _name_lines(axes, [name for _, name, _ in known])
        axes.set(xlabel="difference in weighted F1 to the baseline")

    words = [
        f"{name} {found.difference:+.3f} (95 % interval {found.low:+.3f} to {found.high:+.3f}, 90 % interval "
        f"{found.low_90:+.3f} to {found.high_90:+.3f})"
        for _, name, found in known
    ]
    return [draw_plot(draw, 1.1 + 0.52 * len(known), f"Difference in weighted F1 to the baseline: {'; '.join(words)}.")]


def curves_panel(systems: Sequence[SystemResult], phase: Phase, best_by: str) -> list[Plot]:
    """Weighted F1 on dev against epoch: the mean over seeds of each system, and a thin line for each seed.

    A ring marks each seed's best epoch by `best_by`, as in FinetuneConfig.
    """
    found = []
    for index, system in enumerate(systems):
        seeds = [getattr(curve, phase) for curve in system.curves]
        if points := mean_curve(seeds):
            found.append((index, system.name, seeds, points))
    if not found:
        return []

    def draw(axes: Axes) -> None:
        for index, _, seeds, points in found:
            _line(axes, index, points)
            for epochs in seeds:
                _seed_line(axes, index, epochs, best_by)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set(title=PHASES[phase], xlabel="epoch", ylabel="weighted F1 on the dev texts")

    words = [f"{name} {_course(points, 'epoch')}" for _, name, _, points in found]
    return [draw_plot(draw, 3.3, f"Weighted F1 on the dev texts, {PHASES[phase].lower()}: {'; '.join(words)}.")]


def pretraining_panel(systems: Sequence[SystemResult], runs: Sequence[PretrainingCurve]) -> list[Plot]:
    """Bits per byte of the validation rows against tokens read: one line per run, in its system's colour."""
    indices = colour_indices(systems, [run.name for run in runs])
    known = [(index, run) for index, run in zip(indices, runs, strict=True) if run.curve]
    if not known:
        return []
    return [curves_plot({run.name: run.curve for _, run in known}, [index for index, _ in known], legend=False)]


def label_panels(systems: Sequence[SystemResult]) -> list[Plot]:
    """F1 of each label, most frequent first, one dot per system; long lists in two panels with the same scale."""
    labels = labels_by_support(systems)[:MAX_LABELS]
    if not labels:
        return []
    scores = [{entry.label: entry.f1 for entry in system.per_label} for system in systems]
    known = [score for by_label in scores for score in by_label.values()]
    low, high = min(known), max(known)
    margin = max(0.03, 0.05 * (high - low))
    half = math.ceil(len(labels) / 2) if len(labels) > 8 else len(labels)

    def panel(shown: list[tuple[str, int]], title: str) -> Plot:
        def draw(axes: Axes) -> None:
            _dots(axes, shown, scores)
            axes.set_ylim(half - 0.4, -0.6)  # the same distance between labels in both panels
            axes.set_xlim(low - margin, high + margin)
            axes.set(title=title, xlabel="F1 on the test texts")

        return draw_plot(draw, 1.0 + 0.32 * half, _labels_words(shown, systems, scores))

    if half == len(labels):
        return [panel(labels, "Labels, most frequent first")]
    return [
        panel(labels[:half], f"The {half} most frequent labels"),
        panel(labels[half:], f"The {len(labels) - half} next"),
    ]


def labels_by_support(systems: Sequence[SystemResult]) -> list[tuple[str, int]]:
    """Labels with their number of test texts, most frequent first, ties in label order."""
    support = {entry.label: entry.support for system in systems for entry in system.per_label}
    return sorted(support.items(), key=lambda item: -item[1])


def mean_curve(seeds: Sequence[Sequence[EpochRecord]]) -> list[tuple[int, float]]:
    """Mean weighted F1 by epoch, over the epochs that every seed reached, so that early stopping makes no jump.

    >>> first, second = EpochRecord(1, 0.9, 0.8, 0.5, 0.4), EpochRecord(2, 0.7, 0.7, 0.8, 0.6)
    >>> mean_curve([[first, second], [first]])
    [(1, 0.5)]
    """
    by_epoch = [{record.epoch: record.dev_weighted_f1 for record in epochs} for epochs in seeds if epochs]
    shared = sorted(set.intersection(*(set(seed) for seed in by_epoch))) if by_epoch else []
    return [(epoch, sum(seed[epoch] for seed in by_epoch) / len(by_epoch)) for epoch in shared]


def colour_indices(systems: Sequence[SystemResult], names: Sequence[str]) -> list[int]:
    """Index of the system of each name, which determines its colour; other names get further indices."""
    indices = {system.name: index for index, system in enumerate(systems)}
    return [indices.get(name, len(systems) + number) for number, name in enumerate(names)]


def _weighted_f1(system: SystemResult, phase: Phase) -> Interval | None:
    scores = system.phases.head if phase == "head" else system.phases.whole
    return scores.weighted_f1 if scores else None


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    """A name for each line, the first on top."""
    axes.set_yticks(range(len(names)), [textwrap.fill(name, MAX_NAME, max_lines=3, placeholder=" …") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.75)
    axes.margins(x=0.15)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="y")


def _interval(axes: Axes, index: int, score: Interval) -> None:
    reach = [[max(score.mean - score.low, 0)], [max(score.high - score.mean, 0)]]
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    axes.errorbar(score.mean, index, xerr=reach, color=colour, marker=marker, capsize=4, linewidth=1.8)
    above: dict[str, Any] = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # hides the baseline's line behind the number
    axes.annotate(f"{score.mean:.3f}", (score.mean, index), bbox=ground, **above)


def _line(axes: Axes, index: int, points: Sequence[tuple[int, float]]) -> None:
    axes.plot(
        *zip(*points, strict=True),
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        markevery=max(1, len(points) // 8),
        markersize=5,
        linewidth=1.6,
    )


def _seed_line(axes: Axes, index: int, epochs: Sequence[EpochRecord], best_by: str) -> None:
    """One seed's epochs, with a ring at the best one."""
    if not epochs:
        return
    colour = COLOURS[index % len(COLOURS)]
    best = best_epoch(epochs, best_by)
    points = [(record.epoch, record.dev_weighted_f1) for record in epochs]
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.6)
    axes.plot(best.epoch, best.dev_weighted_f1, "o", color=colour, markerfacecolor="none", markersize=9)


def _dots(axes: Axes, labels: Sequence[tuple[str, int]], scores: Sequence[dict[str, float]]) -> None:
    for index, by_label in enumerate(scores):
        shift = 0.5 * ((index + 0.5) / len(scores) - 0.5)  # systems slightly apart, so that equal scores stay visible
        points = [(by_label[label], y + shift) for y, (label, _) in enumerate(labels) if label in by_label]
        if points:
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linestyle="none", markersize=4.5)
    axes.set_yticks(range(len(labels)), [f"{_short(label)} ({support:,})" for label, support in labels])


def _short(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME // 2]}…{name[1 - MAX_NAME // 2 :]}"  # names often differ at their ends


def _interval_words(score: Interval) -> str:
    if score.low == score.high:
        return ""
    return f" (95 % interval {score.low:.3f} to {score.high:.3f})"


def _course(points: Sequence[tuple[int, float]], unit: str) -> str:
    (first, start), (last, end) = points[0], points[-1]
    return f"goes from {start:.3f} at {unit} {first:,} to {end:.3f} at {unit} {last:,}"


def _labels_words(
    labels: Sequence[tuple[str, int]], systems: Sequence[SystemResult], scores: Sequence[dict[str, float]]
) -> str:
    words = []
    for system, by_label in zip(systems, scores, strict=True):
        ranked = sorted((by_label[label], label) for label, _ in labels if label in by_label)
        if ranked:
            (low, worst), (high, best) = ranked[0], ranked[-1]
            words.append(f"{system.name} from {low:.3f} ({worst}) to {high:.3f} ({best})")
    ends = f"from {labels[0][0]} to {labels[-1][0]}"
    return f"F1 of {len(labels)} labels, {ends}: {'; '.join(words)}. The table below has all."
