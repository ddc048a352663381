"""Plots of a comparison: gains, cost against quality, and calibration."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from finetune.compare.comparison import Comparison, LabelGain, SystemResult, TokenGain
from finetune.compare.plots import colour_indices
from finetune.metrics.significance import Difference, Interval
from stackbert.core.drawing import COLOURS, MARKERS, Plot, compact, draw_plot

Point = tuple[int, float, Interval | Difference]
"""An amount of texts or tokens, the value there, and its interval."""


def build_gain_plots(comparison: Comparison) -> dict[str, list[Plot]]:
    """The panels of each figure by its name; a figure without data has none."""
    systems = comparison.systems
    return {
        "gains": [
            *gain_panels(systems, comparison.gain_against_labels, "labelled training texts", log=True),
            *gain_panels(systems, comparison.gain_against_tokens, "tokens of pretraining", log=False),
        ],
        "cost": cost_panels(systems),
        "calibration": calibration_panel(systems),
    }


def gain_panels(
    systems: Sequence[SystemResult], gains: Sequence[LabelGain | TokenGain], unit: str, log: bool
) -> list[Plot]:
    """Weighted F1, and its difference to the baseline, against labelled texts or tokens of pretraining."""
    if not gains:
        return []
    names = [gain.name for gain in gains]
    indices = colour_indices(systems, names)
    scores: list[list[Point]] = [
        [(point.amount, point.weighted_f1.mean, point.weighted_f1) for point in gain.points] for gain in gains
    ]
    differences: list[list[Point]] = [
        [(point.amount, found.difference, found) for point in gain.points if (found := point.against_baseline)]
        for gain in gains
    ]
    panels = [_gain_panel("Weighted F1", unit, names, indices, scores, log)]
    if any(differences):
        amounts = [point.amount for gain in gains for point in gain.points]
        zero = ([min(amounts), max(amounts)], [0, 0])
        panels.append(_gain_panel("Difference to the baseline", unit, names, indices, differences, log, zero))
    return panels


def cost_panels(systems: Sequence[SystemResult]) -> list[Plot]:
    """Weighted F1 against training time and against parameters; up and left is better."""
    costs: dict[str, Callable[[SystemResult], float | None]] = {
        "seconds to encode and train, one seed": lambda system: sum(system.seconds.values()),
        "parameters": lambda system: system.parameters,
    }
    return [panel for unit, cost in costs.items() for panel in _cost_panel(systems, unit, cost)]


def calibration_panel(systems: Sequence[SystemResult]) -> list[Plot]:
    """Share of true decisions against predicted probability; on the diagonal, probabilities are calibrated."""
    known = [(index, system.name, found) for index, system in enumerate(systems) if (found := system.calibration)]
    if not known:
        return []

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="#8a8f98", linestyle="--", linewidth=1)
        for index, _, calibration in known:
            axes.plot(
                [point.predicted for point in calibration.points],
                [point.true for point in calibration.points],
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                markersize=5,
                linewidth=1.4,
            )
        axes.set(xlabel="predicted probability", ylabel="share that is true", xlim=(0, 1), ylim=(0, 1))

    errors = [(name, calibration.error) for _, name, calibration in known]
    words = [f"{name} unknown" if error is None else f"{name} {error:.3f}" for name, error in errors]
    return [draw_plot(draw, 3.6, f"Calibration; expected calibration error: {'; '.join(words)}.")]


def _gain_panel(
    title: str,
    unit: str,
    names: Sequence[str],
    indices: Sequence[int],
    lines: Sequence[Sequence[Point]],
    log: bool,
    dashed: tuple[list[int], list[int]] | None = None,
) -> Plot:
    """One line per system through its points, each with its interval, and a dashed line if given."""
    amounts = sorted({amount for points in lines for amount, _, _ in points})

    def draw(axes: Axes) -> None:
        if log:
            axes.set_xscale("log")
            axes.set_xticks(amounts)
        if dashed:
            axes.plot(*dashed, color="#8a8f98", linestyle="--", linewidth=1)
        for index, points in zip(indices, lines, strict=True):
            if points:
                _interval_line(axes, index, points)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(title=title, xlabel=unit)

    words = [
        f"{name} " + ", ".join(f"{middle:.3f} at {amount:,}" for amount, middle, _ in points)
        for name, points in zip(names, lines, strict=True)
        if points
    ]
    return draw_plot(draw, 3.3, f"{title} against {unit}: {'; '.join(words)}.")


def _interval_line(axes: Axes, index: int, points: Sequence[Point]) -> None:
    reach = [
        [max(middle - interval.low, 0) for _, middle, interval in points],
        [max(interval.high - middle, 0) for _, middle, interval in points],
    ]
    axes.errorbar(
        [amount for amount, _, _ in points],
        [middle for _, middle, _ in points],
        yerr=reach,
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        markersize=5,
        linewidth=1.6,
        capsize=3,
    )


def _cost_panel(
    systems: Sequence[SystemResult], unit: str, cost_of: Callable[[SystemResult], float | None]
) -> list[Plot]:
    known = [
        (index, system.name, cost, system.phases.whole.weighted_f1.mean)
        for index, system in enumerate(systems)
        if (cost := cost_of(system))
    ]
    if len(known) < 2:
        return []

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        for index, _, cost, score in known:
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            axes.plot(cost, score, color=colour, marker=marker, markersize=8)
        axes.margins(0.15)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=unit, ylabel="weighted F1 on the test texts")

    words = [f"{name} {score:.3f} at {cost:,.0f}" for _, name, cost, score in known]
    return [draw_plot(draw, 3.0, f"Weighted F1 against {unit}: {'; '.join(words)}.")]
