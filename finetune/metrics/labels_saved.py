"""A gain told in labels: with how many times the labels the baseline is as good as a system."""

# N texts, L labels, R resamples (the first is the original sample), K numbers of training texts, S seeds

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from finetune.metrics.significance import CONFIDENCE, Prediction, resampled_weights, weighted_f1_of_resamples

Scores = npt.NDArray[np.float64]
"""Mean weighted F1 over seeds under each resample, (R,); of several numbers of texts, (K, R)."""
SMALLEST_RISE = 1e-9  # of a baseline's curve from one number of texts to the next, so that it can be inverted


@dataclass(frozen=True)
class Ratio:
    """A number of labels over another one."""

    value: float
    beyond: Literal["", "more", "less"] = ""
    """'more' or 'less' where the baseline's curve ends: the ratio is more or less than `value`."""


@dataclass(frozen=True)
class LabelsSaved:
    """The baseline's number of training texts that gives it the system's weighted F1, over the system's own number."""

    ratio: Ratio
    low: Ratio
    high: Ratio
    """Ends of the 95 % interval."""


def labels_saved(sizes: Sequence[int], own_KR: Scores, baseline_KR: Scores) -> list[LabelsSaved]:
    """For each of `sizes`, ascending, what the labels of a system trained on so many texts are worth.

    `own_KR` and `baseline_KR` are weighted F1 at each size under the same resamples, as `CurveResamples` gives them.
    Under each resample, the baseline's curve is made monotone (isotonic regression) and read between its points, linear
    in the logarithm of the number of texts. The interval is the percentile interval of these ratios.
    """
    logs_K, rising_RK = np.log(np.array(sizes, np.float64)), _rising(baseline_KR).T
    found = []
    for log, own_R in zip(logs_K, own_KR, strict=True):
        pairs = zip(own_R, rising_RK, strict=True)
        read_R = np.array([np.interp(own, curve_K, logs_K, left=-np.inf, right=np.inf) for own, curve_K in pairs])
        found.append(_interval(read_R - log, logs_K - log))
    return found


class CurveResamples:
    """Weighted F1 of any system at any number of training texts, under the same resamples of texts and seeds.

    The texts are resampled as for a difference (`significance.compare_weighted_f1`). For the chance of the seeds, the
    mean over seeds is moved in each resample by a draw from Student's distribution, scaled to its standard error: that
    is how its own interval is reckoned, and to resample two or three seeds would make it too narrow. A single seed has
    no such part.
    """

    def __init__(self, targets_NL: npt.NDArray[np.uint8], resamples: int, seed: int = 0) -> None:
        self._targets_NL, self._seed = targets_NL, seed
        self._weights_RN = resampled_weights(len(targets_NL), resamples, seed)

    def weighted_f1(self, predictions: Sequence[Prediction], *key: int) -> Scores:
        """Mean over the seeds, (R,), the original sample first; `key` names the draw for the seeds' chance."""
        f1_SR = weighted_f1_of_resamples(self._targets_NL, predictions, self._weights_RN)
        mean_R: Scores = f1_SR.mean(0)
        seeds = len(f1_SR)
        if seeds > 1:
            error = np.std(f1_SR[:, 0], ddof=1) / np.sqrt(seeds)
            draw = np.random.default_rng([self._seed, *key])
            mean_R[1:] += error * draw.standard_t(seeds - 1, len(mean_R) - 1)
        return mean_R


def _rising(curve_KR: Scores) -> Scores:
    """The nearest curves that never fall, made to rise everywhere, so that they can be inverted.

    Isotonic regression by its min-max formula (Robertson, Wright and Dykstra 1988, chapter 1): at each point the
    highest, over starts at or before it, of the lowest mean from there to an end at or after it.
    """
    number = len(curve_KR)
    sums_KR = np.concatenate([np.zeros_like(curve_KR[:1]), np.cumsum(curve_KR, 0)])

    def lowest(start: int, point: int) -> Scores:
        ends = range(point + 1, number + 1)
        means: Scores = np.min([(sums_KR[end] - sums_KR[start]) / (end - start) for end in ends], 0)
        return means

    highest = [np.max([lowest(start, point) for start in range(point + 1)], 0) for point in range(number)]
    rising_KR: Scores = np.array(highest) + SMALLEST_RISE * np.arange(number)[:, None]
    return rising_KR


def _interval(ratios_R: npt.NDArray[np.float64], ends_K: npt.NDArray[np.float64]) -> LabelsSaved:
    """The ratio and its percentile interval, from logarithms; `ends_K` are those at the sizes themselves."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(ratios_R[1:], [tail, 1 - tail], method="inverted_cdf")  # between infinities, no mean
    return LabelsSaved(*(_ratio(float(each), ends_K) for each in (ratios_R[0], low, high)))


def _ratio(logarithm: float, ends_K: npt.NDArray[np.float64]) -> Ratio:
    if np.isinf(logarithm):
        return Ratio(float(np.exp(ends_K[-1])), "more") if logarithm > 0 else Ratio(float(np.exp(ends_K[0])), "less")
    return Ratio(float(np.exp(logarithm)))
