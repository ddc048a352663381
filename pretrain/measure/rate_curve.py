"""What a learning-rate range test found: its curve, the rate that it suggests, and how both are printed."""

# N steps

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DIVERGED = 4.0
"""Times its lowest value: a smoothed loss above that ends the test."""
MEMORY_SHARE, LEAST_MEMORY = 12, 4  # the smoothed loss remembers one step in 12: a third of four decades' one
FEWEST_POINTS = 10
NOISE_FACTOR = 5  # standard errors of the smoothed loss; by chance it falls further in less than 1 test of 100
LEAST_FALL = 1e-4  # of the loss
PLOT_COLUMNS, PLOT_LINES = 61, 12
TABLE_LINES = 13

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RateSuggestion:
    """Learning rates that a curve suggests."""

    steepest: float
    """Where the smoothed loss falls fastest over the logarithm of the rate: the suggestion."""
    tenth_of_lowest: float
    """A tenth of the rate where the smoothed loss is lowest, for comparison."""
    note: str = ""
    """What to try where the range of rates was too narrow."""


@dataclass(frozen=True)
class RateCurve:
    """The losses of a range test at its rates, lowest first."""

    rates_N: Floats
    losses_N: Floats
    """Of each step, before its update; finite."""
    memory: float
    """Steps over which the smoothed loss is a mean."""
    stopped: str = ""
    """Why the test ended before its highest rate; empty where it did not."""

    @property
    def smoothed_N(self) -> Floats:
        return smooth(self.losses_N, self.memory)

    def __str__(self) -> str:
        found = suggest_rate(self)
        lines = [_plot(self, found), "", *_table(self), ""] if len(self.rates_N) else []
        if self.stopped:
            reached = f"at the rate {self.rates_N[-1]:.1e}" if len(self.rates_N) else "at the first step"
            lines.append(f"the test ended {reached}: {self.stopped}")
        if isinstance(found, str):
            return "\n".join([*lines, f"no learning rate can be suggested: {found}"])
        lines += [
            f"suggested learning_rate: {found.steepest:.1e}, where the smoothed loss falls fastest on this axis",
            f"for comparison: {found.tenth_of_lowest:.1e}, a tenth of the rate where the smoothed loss is lowest",
        ]
        return "\n".join([*lines, *([found.note] if found.note else [])])


def read_curve(rates: Sequence[float], losses: Sequence[float], num_steps: int) -> RateCurve:
    """The curve of the first steps of a test of `num_steps`, up to the last one before the loss diverged.

    It has diverged where it is not finite, or where the smoothed loss exceeds DIVERGED times its lowest value.
    """
    memory = max(LEAST_MEMORY, num_steps / MEMORY_SHARE)
    end = next((number for number, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    stopped = f"the next loss was {losses[end]}" if end < len(losses) else ""
    behind_N = smooth_behind(losses[:end], memory)
    too_high_N = behind_N > DIVERGED * np.minimum.accumulate(behind_N)
    if too_high_N.any():
        end = int(too_high_N.argmax())
        stopped = f"with the next loss, {losses[end]:.4g}, the smoothed one exceeds {DIVERGED:g} times its lowest value"
    return RateCurve(np.array(rates[:end], np.float64), np.array(losses[:end], np.float64), memory, stopped)


def smooth_behind(losses: Sequence[float] | Floats, memory: float) -> Floats:
    """The exponential mean over about `memory` steps up to each, with its bias corrected.

    The correction is that of Adam's moments (Kingma and Ba 2015, arXiv 1412.6980, section 3).

    >>> smooth_behind([1.0, 1.0, 4.0], 2.0).round(2).tolist()
    [1.0, 1.0, 2.71]
    """
    sums, weights = _sums_behind(losses, memory), _sums_behind(np.ones(len(losses)), memory)
    return sums / np.maximum(weights, 1.0)


def smooth(losses: Floats, memory: float) -> Floats:
    """The same over the steps before and after each, so that it does not lag behind the rates.

    >>> smooth(np.array([1.0, 1.0, 4.0]), 2.0).round(2).tolist()
    [1.43, 1.75, 2.71]
    """

    def sums(values: Floats) -> Floats:
        return _sums_behind(values, memory) + _sums_behind(values[::-1], memory)[::-1] - values

    return sums(losses) / sums(np.ones_like(losses))


def _sums_behind(values: Sequence[float] | Floats, memory: float) -> Floats:
    """Each value and those before it, weighted by powers of 1 - 1 / `memory`."""
    kept, total = max(0.0, 1 - 1 / memory), 0.0
    return np.array([total := kept * total + value for value in values], np.float64)


def suggest_rate(curve: RateCurve) -> RateSuggestion | str:
    """The rates that the curve suggests, or the reason why it suggests none.

    The steepest descent of the smoothed loss over the logarithm of the rate is the choice of fastai's and Lightning's
    finders, a tenth of the lowest point's rate that of fastai's first one.
    """
    if len(curve.rates_N) < FEWEST_POINTS:
        return f"the loss of only {len(curve.rates_N)} steps is finite and bounded; try a lower range of rates"
    rates_N, smoothed_N = curve.rates_N, curve.smoothed_N
    lowest = int(smoothed_N.argmin())
    fall = float(smoothed_N[0] - smoothed_N[lowest])
    before = slice(0, max(lowest + 1, FEWEST_POINTS))
    noise = float(np.std(curve.losses_N[before] - smoothed_N[before])) / math.sqrt(2 * curve.memory)
    if fall <= max(NOISE_FACTOR * noise, LEAST_FALL * smoothed_N[0]):
        return (
            f"the smoothed loss falls by {fall:.2g}, which can be chance (its standard error is {noise:.2g}); "
            "try a wider range of rates, more steps or a larger batch"
        )
    steepest = int(np.gradient(smoothed_N, np.log(rates_N))[: lowest + 1].argmin())
    note = ""
    if lowest == len(rates_N) - 1 and not curve.stopped:
        note = "the loss still falls at the highest rate: test a range that ends higher"
    if steepest < 2 * curve.memory:  # the smoothed loss is flattened at its end
        note = "the loss falls fastest at the lowest rate: test a range that begins lower"
    return RateSuggestion(float(rates_N[steepest]), float(rates_N[lowest]) / 10, note)


def _table(curve: RateCurve) -> list[str]:
    """Evenly spaced points of the curve."""
    last = len(curve.rates_N) - 1
    shown = np.unique(np.linspace(0, last, min(TABLE_LINES, last + 1)).round().astype(int))
    points = zip(curve.rates_N[shown], curve.losses_N[shown], curve.smoothed_N[shown], strict=True)
    heading = f"{'rate':>10}{'loss':>10}{'smoothed':>10}"
    return [heading, *(f"{rate:>10.2e}{loss:>10.4f}{smoothed:>10.4f}" for rate, loss, smoothed in points)]


def _plot(curve: RateCurve, found: RateSuggestion | str) -> str:
    """The curve as lines of text: '.' a step's loss, 'o' the smoothed loss, '^' the suggested rate.

    What is far from the smoothed loss's fall, such as a loss that diverges, is drawn on the first or last line.
    """
    logs_N, smoothed_N = np.log10(curve.rates_N), curve.smoothed_N
    width = float(logs_N[-1] - logs_N[0]) or 1.0
    lowest = int(smoothed_N.argmin())
    fall = float(smoothed_N[: lowest + 1].max() - smoothed_N[lowest]) or 1.0
    low, height = float(smoothed_N[lowest]) - fall / 4, 1.5 * fall

    def column(log_rate: float) -> int:
        return round((log_rate - float(logs_N[0])) / width * (PLOT_COLUMNS - 1))

    def line(loss: float) -> int:
        return round(min(1.0, max(0.0, (low + height - loss) / height)) * (PLOT_LINES - 1))

    cells = [[" "] * PLOT_COLUMNS for _ in range(PLOT_LINES)]
    for log_rate, loss in zip(logs_N, curve.losses_N, strict=True):
        cells[line(loss)][column(log_rate)] = "."
    for place in range(PLOT_COLUMNS):
        at = float(logs_N[0]) + width * place / (PLOT_COLUMNS - 1)
        cells[line(float(np.interp(at, logs_N, smoothed_N)))][place] = "o"
    labels = {0: low + height, PLOT_LINES - 1: low}
    rows = [f"{f'{labels[n]:.3f}' if n in labels else '':>9} |{''.join(each)}" for n, each in enumerate(cells)]
    decades = range(math.ceil(logs_N[0] - 1e-6), math.floor(logs_N[-1] + 1e-6) + 1)
    marks, names = ["-"] * PLOT_COLUMNS, [" "] * (PLOT_COLUMNS + 8)
    for decade in decades:
        marks[column(decade)] = "+"
        names[column(decade) : column(decade) + 5] = f"1e{decade:+03d}"
    if isinstance(found, RateSuggestion):
        marks[column(math.log10(found.steepest))] = "^"
    axis = [f"{'':>9} +{''.join(marks)}", f"{'rate':>9}  {''.join(names).rstrip()}"]
    return "\n".join(["loss of each step (.), smoothed (o)", *(row.rstrip() for row in [*rows, *axis])])
