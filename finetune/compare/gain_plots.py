"""Plots of what a comparison says beside its scores: gains, cost against quality, and calibration."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from finetune.compare.plots import Row, run_places
from stackbert.core.drawing import COLOURS, MARKERS, Plot, compact, draw_plot

Point = tuple[int, float, dict[str, Any]]
"""An amount, the figure there, and what holds its interval as `low` and `high`."""


def build_gain_plots(comparison: dict[str, Any]) -> dict[str, list[Plot]]:
    """Return the panels of each figure by its name; a figure without data has none."""
    rows = comparison["rows"]
    return {
        "gains": [
            *gain_panels(rows, comparison["gain_against_labels"], "texts", "labelled training texts", log=True),
            *gain_panels(rows, comparison["gain_against_tokens"], "tokens", "tokens of pretraining", log=False),
        ],
        "cost": cost_panels(rows),
        "calibration": calibration_panel(rows),
    }


def gain_panels(rows: Sequence[Row], gains: Sequence[dict[str, Any]], amount: str, unit: str, log: bool) -> list[Plot]:
    """Weighted F1, and its difference to the baseline, against an amount: labelled texts, or tokens of pretraining."""
    if not gains:
        return []
    places = run_places(rows, gains)
    scores, differences = (
        [[(point[amount], point[key][middle], point[key]) for point in gain["points"] if point[key]] for gain in gains]
        for key, middle in (("weighted_f1", "mean"), ("against_baseline", "difference"))
    )
    names, amounts = [gain["name"] for gain in gains], [point[amount] for gain in gains for point in gain["points"]]
    panels = [_gain_panel("Weighted F1", unit, names, places, scores, log)]
    if any(differences):
        zero = ([min(amounts), max(amounts)], [0, 0])
        panels.append(_gain_panel("Difference to the baseline", unit, names, places, differences, log, zero))
    return panels


def cost_panels(rows: Sequence[Row]) -> list[Plot]:
    """Weighted F1 against time to train and against parameters; up and left is better."""
    amounts: dict[str, Callable[[Row], float | None]] = {
        "seconds to train and read, one seed": lambda row: sum(row["seconds"].values()),
        "parameters": lambda row: row["parameters"],
    }
    return [panel for unit, amount in amounts.items() for panel in _cost_panel(rows, unit, amount)]


def calibration_panel(rows: Sequence[Row]) -> list[Plot]:
    """Share that is true against the probability given; on the diagonal, probabilities can be believed."""
    known = [(place, row) for place, row in enumerate(rows) if row.get("calibration")]
    if not known:
        return []

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#8a8f98", linestyle="--", linewidth=1)
        for place, row in known:
            points = row["calibration"]["points"]
            axes.plot(
                [point["predicted"] for point in points],
                [point["true"] for point in points],
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                markersize=5,
                linewidth=1.4,
            )
        axes.set(xlabel="probability given", ylabel="share that is true", xlim=(0, 1), ylim=(0, 1))

    errors = [(row["name"], row["calibration"]["error"]) for _, row in known]
    words = [f"{name} unknown" if error is None else f"{name} {error:.3f}" for name, error in errors]
    return [draw_plot(draw, 3.6, f"Calibration; expected calibration error: {'; '.join(words)}.")]


def _gain_panel(
    title: str,
    unit: str,
    names: Sequence[str],
    places: Sequence[int],
    lines: Sequence[Sequence[Point]],
    log: bool,
    dashed: tuple[list[int], list[int]] | None = None,
) -> Plot:
    """One line a row through its points, each with its interval; and one dashed, where it is given."""
    amounts = sorted({amount for points in lines for amount, _, _ in points})

    def draw(axes: Axes) -> None:
        if log:
            axes.set_xscale("log")
            axes.set_xticks(amounts)
        if dashed:
            axes.plot(*dashed, color="#8a8f98", linestyle="--", linewidth=1)
        for place, points in zip(places, lines, strict=True):
            if points:
                _interval_line(axes, place, points)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(title=title, xlabel=unit)

    words = [
        f"{name} " + ", ".join(f"{middle:.3f} at {amount:,}" for amount, middle, _ in points)
        for name, points in zip(names, lines, strict=True)
        if points
    ]
    return draw_plot(draw, 3.3, f"{title} against {unit}: {'; '.join(words)}.")


def _interval_line(axes: Axes, place: int, points: Sequence[Point]) -> None:
    reach = [
        [max(middle - interval["low"], 0) for _, middle, interval in points],
        [max(interval["high"] - middle, 0) for _, middle, interval in points],
    ]
    axes.errorbar(
        [amount for amount, _, _ in points],
        [middle for _, middle, _ in points],
        yerr=reach,
        color=COLOURS[place % len(COLOURS)],
        marker=MARKERS[place % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        capsize=3,
    )


def _cost_panel(rows: Sequence[Row], unit: str, amount: Callable[[Row], float | None]) -> list[Plot]:
    known = [(place, row, cost) for place, row in enumerate(rows) if (cost := amount(row))]
    if len(known) < 2:
        return []

    scores = [row["phases"]["whole"]["weighted_f1"]["mean"] for _, row, _ in known]

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        for (place, _, cost), score in zip(known, scores, strict=True):
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            axes.plot(cost, score, color=colour, marker=marker, markersize=8)
        axes.margins(0.15)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=unit, ylabel="weighted F1 on the test texts")

    words = [f"{row['name']} {score:.3f} at {cost:,.0f}" for (_, row, cost), score in zip(known, scores, strict=True)]
    return [draw_plot(draw, 3.0, f"Weighted F1 against {unit}: {'; '.join(words)}.")]
