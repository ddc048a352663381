"""Confidence intervals of metrics over seeds, and of differences over test texts and seeds."""

# N texts, L labels, R resamples, S seeds

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from finetune.metrics.metrics import Thresholds, decision_counts, weighted_f1_of_counts

CONFIDENCE = 0.95
Prediction = tuple[npt.NDArray[np.float32], Thresholds]
"""One seed's probabilities (N, L) on test, and thresholds."""


@dataclass(frozen=True)
class Interval:
    """The mean of a metric over seeds, with its 95 % interval."""

    mean: float
    low: float
    high: float
    values: list[float]
    """The metric of each seed."""


@dataclass(frozen=True)
class Difference:
    """The difference of a metric between two systems, with its 95 % interval."""

    difference: float
    low: float
    high: float
    verdict: Literal["better", "worse", "no difference"]


def summarize(values: Sequence[float]) -> Interval:
    """Mean and 95 % Student interval over seeds; with one seed, the interval is the value itself."""
    mean = float(np.mean(values))
    half = 0.0
    if len(values) > 1:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half, [float(value) for value in values])


def compare_weighted_f1(
    targets_NL: npt.NDArray[np.uint8],
    ours: Sequence[Prediction],
    theirs: Sequence[Prediction],
    resamples: int,
    seed: int = 0,
) -> Difference:
    """Difference in weighted F1 (ours - theirs) of the means over seeds, with a 95 % interval.

    `ours` and `theirs` have one prediction per seed. The variance is the sum of three terms: that of the difference
    over paired bootstrap resamples of the texts (Efron and Tibshirani 1993, chapter 13; Koehn 2004), and each side's
    variance over seeds divided by their number, 0 for a single seed. The interval is Student's with Welch and
    Satterthwaite's degrees of freedom, of which the first term has infinitely many. The verdict is 'better' or 'worse'
    only if the interval excludes 0.
    """
    number = len(targets_NL)
    drawn_RN = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)
    weights_RN = np.concatenate([np.ones((1, number)), drawn_RN]).astype(np.float32)  # row 0 is the original sample
    ours_SR, theirs_SR = (_weighted_f1(targets_NL, side, weights_RN) for side in (ours, theirs))
    point, *differences_R = ours_SR.mean(0) - theirs_SR.mean(0)
    terms = [(float(np.var(differences_R, ddof=1)), np.inf)]
    terms += [
        (float(np.var(f1_S, ddof=1)) / len(f1_S), len(f1_S) - 1)
        for f1_S in (ours_SR[:, 0], theirs_SR[:, 0])
        if len(f1_S) > 1
    ]
    variance = sum(term for term, _ in terms)
    uncertainty = sum(term**2 / freedom for term, freedom in terms)
    freedom = variance**2 / uncertainty if uncertainty else np.inf
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance))
    low, high = float(point) - half, float(point) + half
    return Difference(float(point), low, high, "better" if low > 0 else "worse" if high < 0 else "no difference")


def _weighted_f1(
    targets_NL: npt.NDArray[np.uint8], side: Sequence[Prediction], weights_RN: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Weighted F1 of each seed under each weighting of the texts, (S, R)."""
    support_RL = weights_RN @ targets_NL.astype(np.float32)
    scores = []
    for probabilities_NL, thresholds in side:
        decided = decision_counts(targets_NL, probabilities_NL, thresholds)
        right_RL, wrong_RL = (weights_RN @ counts_NL.astype(np.float32) for counts_NL in decided)
        scores.append(weighted_f1_of_counts(right_RL, wrong_RL, support_RL))
    return np.stack(scores)
