"""Intervals of metrics over seeds; differences over test texts and seeds: better, worse, equivalent, not shown."""

# N texts, L labels, R resamples, S seeds

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from finetune.metrics.metrics import Thresholds, decision_counts, weighted_f1_of_counts

CONFIDENCE = 0.95
EQUIVALENCE_CONFIDENCE = 0.90
"""Two one-sided tests at 5 % both reject where the interval at this confidence lies within the margin."""
POWER = 0.80
TEXT_DEVIATION = 0.18
"""Assumed, for comparisons to come: the difference between two encoders has this standard deviation over the root of
the number of test texts. The intervals of one seed in docs/measured/finetuning.md, 0.005 to either side with 5,000
texts, are 1.96 of it."""
SEED_DEVIATION = 0.006
"""Assumed likewise: the standard deviation of a fine-tuned encoder's weighted F1 over seeds, 0.004 to 0.007 there."""
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
    """The difference of a metric between two systems, with its intervals and what follows from them."""

    difference: float
    low: float
    high: float
    """Ends of the 95 % interval."""
    verdict: Literal["better", "worse", "no difference"]
    """'better' or 'worse' only if the 95 % interval excludes 0."""
    low_90: float
    high_90: float
    """Ends of the 90 % interval."""
    equivalent: bool
    """Whether the 90 % interval lies within the margin of equivalence, whatever the verdict."""
    smallest_shown: float
    """True difference that such a comparison calls 'better' or 'worse' with a probability of 80 %."""


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
    margin: float,
    seed: int = 0,
) -> Difference:
    """Difference in weighted F1 (ours - theirs) of the means over seeds, equivalent if within +-`margin`.

    `ours` and `theirs` have one prediction per seed. The variance is the sum of three terms: that of the difference
    over paired bootstrap resamples of the texts (Efron and Tibshirani 1993, chapter 13; Koehn 2004), and each side's
    variance over seeds divided by their number, 0 for a single seed. Intervals are Student's with Welch and
    Satterthwaite's degrees of freedom, of which the first term has infinitely many.
    """
    weights_RN = resampled_weights(len(targets_NL), resamples, seed)
    ours_SR, theirs_SR = (weighted_f1_of_resamples(targets_NL, side, weights_RN) for side in (ours, theirs))
    point, *differences_R = ours_SR.mean(0) - theirs_SR.mean(0)
    over_seeds = [
        (float(np.var(f1_S, ddof=1)), len(f1_S)) for f1_S in (ours_SR[:, 0], theirs_SR[:, 0]) if len(f1_S) > 1
    ]
    return _judge(float(point), *_standard_error(float(np.var(differences_R, ddof=1)), over_seeds), margin)


def resampled_weights(num_texts: int, resamples: int, seed: int) -> npt.NDArray[np.float32]:
    """How often each text is drawn in each bootstrap resample, (R, N); row 0 is the original sample."""
    drawn_RN = np.random.default_rng(seed).multinomial(num_texts, np.full(num_texts, 1 / num_texts), resamples)
    return np.concatenate([np.ones((1, num_texts)), drawn_RN]).astype(np.float32)


def expected_smallest_shown(num_texts: int, num_seeds: int) -> float:
    """`smallest_shown` to be expected of two encoders with that many test texts and seeds.

    The reckoning is that of `compare_weighted_f1`, with TEXT_DEVIATION and SEED_DEVIATION for what is not known yet.

    >>> round(expected_smallest_shown(5_000, 3), 3), round(expected_smallest_shown(20_000, 10), 3)
    (0.018, 0.009)
    """
    over_seeds = [(SEED_DEVIATION**2, num_seeds)] * 2 if num_seeds > 1 else []
    return _smallest_shown(*_standard_error(TEXT_DEVIATION**2 / num_texts, over_seeds))


def _standard_error(over_texts: float, over_seeds: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Standard error of a difference and its degrees of freedom, from each side's variance over its seeds."""
    terms = [(over_texts, np.inf), *((variance / seeds, seeds - 1) for variance, seeds in over_seeds)]
    variance = sum(term for term, _ in terms)
    uncertainty = sum(term**2 / freedom for term, freedom in terms)
    return float(np.sqrt(variance)), variance**2 / uncertainty if uncertainty else np.inf


def _judge(difference: float, error: float, freedom: float, margin: float) -> Difference:
    """The verdict from the 95 % interval; equivalence by two one-sided tests (Schuirmann 1987; Lakens 2017)."""
    half, half_90 = (stats.t.ppf((1 + level) / 2, freedom) * error for level in (CONFIDENCE, EQUIVALENCE_CONFIDENCE))
    low, high = float(difference - half), float(difference + half)
    low_90, high_90 = float(difference - half_90), float(difference + half_90)
    return Difference(
        difference,
        low,
        high,
        "better" if low > 0 else "worse" if high < 0 else "no difference",
        low_90,
        high_90,
        equivalent=-margin < low_90 and high_90 < margin,
        smallest_shown=_smallest_shown(error, freedom),
    )


def _smallest_shown(error: float, freedom: float) -> float:
    """The minimum detectable effect (Bloom 1995), two-sided at 5 %."""
    return float((stats.t.ppf((1 + CONFIDENCE) / 2, freedom) + stats.t.ppf(POWER, freedom)) * error)


def weighted_f1_of_resamples(
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
