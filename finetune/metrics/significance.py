"""How sure a difference is: intervals over seeds, and over test questions and seeds together."""

# N questions, L labels, R resamples, S seeds

from collections.abc import Sequence

import numpy as np
from scipy import stats

from finetune.metrics.metrics import Thresholds, decision_counts, weighted_f1_of_counts

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
    """Difference in weighted F1 (ours - theirs), each side the mean over its seeds, with a 95 % interval.

    Each of `ours` and `theirs` is one seed's test probabilities (N, L) and thresholds. The variance has three parts:
    that of the difference over bootstrap resamples of the questions, the same ones for both sides (Efron and Tibshirani
    1993, chapter 13; Koehn 2004), and each side's variance over seeds divided by their number, 0 for a side made once.
    The interval is Student's with Welch and Satterthwaite's degrees of freedom, where the first part has infinitely
    many. 'better' or 'worse' is said only if the interval excludes 0.
    """
    number = len(targets_NL)
    drawn_RN = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), resamples)
    weights_RN = np.concatenate([np.ones((1, number)), drawn_RN]).astype(np.float32)  # first, the questions as they are
    ours_SR, theirs_SR = (_weighted_f1(targets_NL, side, weights_RN) for side in (ours, theirs))
    point, *differences_R = ours_SR.mean(0) - theirs_SR.mean(0)
    parts = [(float(np.var(differences_R, ddof=1)), np.inf)]
    parts += [
        (float(np.var(f1_S, ddof=1)) / len(f1_S), len(f1_S) - 1)
        for f1_S in (ours_SR[:, 0], theirs_SR[:, 0])
        if len(f1_S) > 1
    ]
    variance = sum(part for part, _ in parts)
    uncertain = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / uncertain if uncertain else np.inf
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * np.sqrt(variance))
    low, high = float(point) - half, float(point) + half
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference"
    return {"difference": float(point), "low": low, "high": high, "verdict": verdict}


def _weighted_f1(
    targets_NL: np.ndarray, side: Sequence[tuple[np.ndarray, Thresholds]], weights_RN: np.ndarray
) -> np.ndarray:
    """(S, R): weighted F1 of each seed with each weighting of the questions."""
    support_RL = weights_RN @ targets_NL.astype(np.float32)
    scores = []
    for probabilities_NL, thresholds in side:
        decided = decision_counts(targets_NL, probabilities_NL, thresholds)
        right_RL, wrong_RL = (weights_RN @ part_NL.astype(np.float32) for part_NL in decided)
        scores.append(weighted_f1_of_counts(right_RL, wrong_RL, support_RL))
    return np.stack(scores)
