"""How sure a difference is: intervals over seeds, and the paired bootstrap over test questions."""

# N questions, L labels, R resamples

from collections.abc import Sequence

import numpy as np
from scipy import stats

from finetune.metrics import Thresholds, decision_counts, weighted_f1_of_counts

CONFIDENCE = 0.95
Summary = dict[str, float | list[float]]


def summarize(values: Sequence[float]) -> Summary:
    """Mean and 95 % Student interval over seeds; with one seed the interval is the value itself."""
    mean = float(np.mean(values))
    half = 0.0
    if len(values) > 1:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half, "values": [float(value) for value in values]}


def compare_weighted_f1(
    targets_NL: np.ndarray,
    ours: Sequence[tuple[np.ndarray, Thresholds]],
    theirs: Sequence[tuple[np.ndarray, Thresholds]],
    resamples: int,
    seed: int = 0,
) -> dict[str, float | str]:
    """Difference in weighted F1 (ours - theirs), each side the mean over its seeds, with a 95 % bootstrap interval.

    Each of `ours` and `theirs` is one seed's test probabilities (N, L) and thresholds. Questions are drawn with
    replacement, the same ones for both sides (Efron and Tibshirani 1993, chapter 13; Koehn 2004); with each draw the
    seeds are drawn again too, so that the interval holds both sources of chance (that of seeds too little, where there
    are two or three). 'better' or 'worse' is said only if the interval excludes 0.
    """
    generator = np.random.default_rng(seed)
    number = len(targets_NL)
    weights_RN = generator.multinomial(number, np.full(number, 1 / number), resamples).astype(np.float32)
    point = _mean_f1(targets_NL, ours, None, None) - _mean_f1(targets_NL, theirs, None, None)
    drawn = [generator.integers(0, len(side), (resamples, len(side))) for side in (ours, theirs)]
    differences_R = _mean_f1(targets_NL, ours, weights_RN, drawn[0]) - _mean_f1(
        targets_NL, theirs, weights_RN, drawn[1]
    )
    low, high = np.quantile(differences_R, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference"
    return {"difference": float(point), "low": float(low), "high": float(high), "verdict": verdict}


def _mean_f1(targets_NL, side, weights_RN: np.ndarray | None, seeds_RS: np.ndarray | None):
    """Mean over seeds of weighted F1, of the data as it is or, (R,), of each resample."""
    scores = []
    weights = np.ones((1, len(targets_NL)), np.float32) if weights_RN is None else weights_RN
    support_RL = weights @ targets_NL.astype(np.float32)
    for probabilities_NL, thresholds in side:
        right_NL, wrong_NL = decision_counts(targets_NL, probabilities_NL, thresholds)
        right_RL, wrong_RL = (weights @ part.astype(np.float32) for part in (right_NL, wrong_NL))
        scores.append(weighted_f1_of_counts(right_RL, wrong_RL, support_RL))
    scores_SR = np.stack(scores)
    if seeds_RS is None:
        return scores_SR.mean(0)[0]
    return np.take_along_axis(scores_SR.T, seeds_RS, 1).mean(1)
