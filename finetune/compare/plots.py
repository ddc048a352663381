"""Plots of a comparison."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from finetune.classifier.training import kept_epoch
from pretrain.train.curves import curves_plot
from stackbert.core.drawing import COLOURS, MARKERS, Plot, draw_plot

Row = dict[str, Any]

MAX_LABELS = 60
"""Labels drawn; beyond, the dots of the rare ones say little and the table holds them all."""
MAX_NAME = 22
"""Characters of a line of a name beside an axis; the page gives names in full."""

PHASES = {"head": "Head on the frozen encoder", "whole": "Fine-tuned whole"}


def build_plots(comparison: dict[str, Any]) -> dict[str, list[Plot]]:
    """Return the panels of each figure by its name; a figure without data has none.

    >>> empty = {"rows": [], "pretraining": [], "data": {"labels": []}, "baseline": "", "recipe": {"best_by": "loss"}}
    >>> build_plots(empty)
    {'intervals': [], 'curves': [], 'pretraining': [], 'labels': []}
    """
    rows = comparison["rows"]
    best_by = {"head": "loss", "whole": comparison["recipe"]["best_by"]}
    return {
        "intervals": [plot for phase in PHASES for plot in intervals_panel(rows, phase, comparison["baseline"])],
        "curves": [plot for phase in PHASES for plot in curves_panel(rows, phase, best_by[phase])],
        "pretraining": pretraining_panel(rows, comparison["pretraining"]),
        "labels": label_panels(rows),
    }


def intervals_panel(rows: Sequence[Row], phase: str, baseline: str) -> list[Plot]:
    """Weighted F1 of each row with its interval; the baseline's mean as a dashed line."""
    scores = [row["phases"][phase] and row["phases"][phase]["weighted_f1"] for row in rows]
    names = [row["name"] for row in rows]
    if not any(scores):
        return []

    def draw(axes: Axes) -> None:
        for place, score in enumerate(scores):
            if score:
                _interval(axes, place, score)
            if score and names[place] == baseline:
                axes.axvline(score["mean"], color="#8a8f98", linestyle="--", linewidth=1, zorder=0)
        axes.set_yticks(
            range(len(rows)), [textwrap.fill(name, MAX_NAME, max_lines=3, placeholder=" …") for name in names]
        )
        axes.set_ylim(len(rows) - 0.5, -0.75)
        axes.margins(x=0.15)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(visible=False, axis="y")
        axes.set(title=PHASES[phase], xlabel="weighted F1 on the test texts")

    known = [(name, score) for name, score in zip(names, scores, strict=True) if score]
    words = [f"{name} {score['mean']:.3f}{_interval_words(score)}" for name, score in known]
    return [draw_plot(draw, 1.1 + 0.52 * len(rows), f"Weighted F1, {PHASES[phase].lower()}: {'; '.join(words)}.")]


def curves_panel(rows: Sequence[Row], phase: str, best_by: str) -> list[Plot]:
    """Weighted F1 on the dev texts against epoch: a line a row, mean over its seeds, and a thin one for each seed.

    A ring is at each seed's best epoch by `best_by`, as in FinetuneConfig.
    """
    found = [(place, row["name"], mean_curve(row["curves"], phase)) for place, row in enumerate(rows)]
    found = [item for item in found if item[2]]
    if not found:
        return []

    def draw(axes: Axes) -> None:
        for place, _, points in found:
            _line(axes, place, points)
            for curve in rows[place]["curves"]:
                _seed_line(axes, place, curve[phase], best_by)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set(title=PHASES[phase], xlabel="epoch", ylabel="weighted F1 on the dev texts")

    words = [f"{name} {_course(points, 'epoch')}" for _, name, points in found]
    return [draw_plot(draw, 3.3, f"Weighted F1 on the dev texts, {PHASES[phase].lower()}: {'; '.join(words)}.")]


def pretraining_panel(rows: Sequence[Row], runs: Sequence[dict[str, Any]]) -> list[Plot]:
    """Bits per byte of held-out text against tokens read, one line a run, in its row's colour."""
    known = [(place, run) for place, run in zip(run_places(rows, runs), runs, strict=True) if run["curve"]]
    if not known:
        return []
    return [curves_plot({run["name"]: run["curve"] for _, run in known}, [place for place, _ in known], legend=False)]


def label_panels(rows: Sequence[Row]) -> list[Plot]:
    """F1 of each label, most frequent first, one dot a row; long lists in two panels with one scale."""
    labels = labels_by_support(rows)[:MAX_LABELS]
    if not labels:
        return []
    scores = [{entry["label"]: entry["f1"] for entry in row["per_label"]} for row in rows]
    known = [score for by_label in scores for score in by_label.values()]
    low, high = min(known), max(known)
    room = max(0.03, 0.05 * (high - low))
    half = math.ceil(len(labels) / 2) if len(labels) > 8 else len(labels)

    def panel(part: list[tuple[str, int]], title: str) -> Plot:
        def draw(axes: Axes) -> None:
            _dots(axes, part, scores)
            axes.set_ylim(half - 0.4, -0.6)  # the same distance between labels in both panels
            axes.set_xlim(low - room, high + room)
            axes.set(title=title, xlabel="F1 on the test texts")

        return draw_plot(draw, 1.0 + 0.32 * half, _labels_words(part, rows, scores))

    if half == len(labels):
        return [panel(labels, "Labels, most frequent first")]
    return [
        panel(labels[:half], f"The {half} most frequent labels"),
        panel(labels[half:], f"The {len(labels) - half} next"),
    ]


def labels_by_support(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Labels with their number of test texts, most frequent first, ties in label order."""
    support = {entry["label"]: entry["support"] for row in rows for entry in row["per_label"]}
    return sorted(support.items(), key=lambda item: -item[1])


def mean_curve(curves: Sequence[dict[str, Any]], phase: str) -> list[tuple[float, float]]:
    """Mean weighted F1 by epoch, over the epochs that every seed reached: no jump where a seed stops early.

    >>> one, two = {"epoch": 1, "dev_weighted_f1": 0.5}, {"epoch": 2, "dev_weighted_f1": 0.8}
    >>> mean_curve([{"head": [one, two]}, {"head": [one]}], "head")
    [(1, 0.5)]
    """
    seeds = [{point["epoch"]: point["dev_weighted_f1"] for point in curve[phase]} for curve in curves if curve[phase]]
    shared = sorted(set.intersection(*(set(seed) for seed in seeds))) if seeds else []
    return [(epoch, sum(seed[epoch] for seed in seeds) / len(seeds)) for epoch in shared]


def run_places(rows: Sequence[Row], runs: Sequence[dict[str, Any]]) -> list[int]:
    """The place of each pretraining run's row, which gives its colour; runs that are no row come after the rows.

    >>> run_places([{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "c"}])
    [1, 3]
    """
    places = {row["name"]: place for place, row in enumerate(rows)}
    return [places.get(run["name"], len(rows) + number) for number, run in enumerate(runs)]


def _interval(axes: Axes, place: int, score: dict[str, Any]) -> None:
    reach = [[max(score["mean"] - score["low"], 0)], [max(score["high"] - score["mean"], 0)]]
    colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
    axes.errorbar(score["mean"], place, xerr=reach, color=colour, marker=marker, capsize=4, linewidth=1.8)
    above: dict[str, Any] = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # or the baseline's line would cross the figure
    axes.annotate(f"{score['mean']:.3f}", (score["mean"], place), bbox=ground, **above)


def _line(axes: Axes, place: int, points: Sequence[tuple[float, float]]) -> None:
    axes.plot(
        *zip(*points, strict=True),
        color=COLOURS[place % len(COLOURS)],
        marker=MARKERS[place % len(MARKERS)],
        markevery=max(1, len(points) // 8),
        markersize=5,
        linewidth=1.6,
    )


def _seed_line(axes: Axes, place: int, epochs: Sequence[dict[str, float]], best_by: str) -> None:
    """One seed's epochs, with a ring at the one that was kept."""
    if not epochs:
        return
    colour = COLOURS[place % len(COLOURS)]
    kept = kept_epoch(epochs, best_by)
    points = [(epoch["epoch"], epoch["dev_weighted_f1"]) for epoch in epochs]
    axes.plot(*zip(*points, strict=True), color=colour, linewidth=0.6)
    axes.plot(kept["epoch"], kept["dev_weighted_f1"], "o", color=colour, markerfacecolor="none", markersize=9)


def _dots(axes: Axes, labels: Sequence[tuple[str, int]], scores: Sequence[dict[str, float]]) -> None:
    for place, by_label in enumerate(scores):
        shift = 0.5 * ((place + 0.5) / len(scores) - 0.5)  # rows a little apart, or equal scores would hide each other
        points = [(by_label[label], y + shift) for y, (label, _) in enumerate(labels) if label in by_label]
        if points:
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linestyle="none", markersize=4.5)
    axes.set_yticks(range(len(labels)), [f"{_short(label)} ({support:,})" for label, support in labels])


def _short(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME // 2]}…{name[1 - MAX_NAME // 2 :]}"  # names of rows often differ at their ends


def _interval_words(score: dict[str, Any]) -> str:
    if score["low"] == score["high"]:
        return ""
    return f" (95 % interval {score['low']:.3f} to {score['high']:.3f})"


def _course(points: Sequence[tuple[float, float]], unit: str) -> str:
    (first, start), (last, end) = points[0], points[-1]
    return f"goes from {start:.3f} at {unit} {first:,} to {end:.3f} at {unit} {last:,}"


def _labels_words(part: Sequence[tuple[str, int]], rows: Sequence[Row], scores: Sequence[dict[str, float]]) -> str:
    words = []
    for row, by_label in zip(rows, scores, strict=True):
        ranked = sorted((by_label[label], label) for label, _ in part if label in by_label)
        if ranked:
            (low, worst), (high, best) = ranked[0], ranked[-1]
            words.append(f"{row['name']} from {low:.3f} ({worst}) to {high:.3f} ({best})")
    return f"F1 of {len(part)} labels, from {part[0][0]} to {part[-1][0]}: {'; '.join(words)}. The table below has all."
