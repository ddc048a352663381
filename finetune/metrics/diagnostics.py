"""How far a classifier's probabilities can be believed, and where it is most wrong."""

# N questions, L labels

from collections.abc import Sequence
from itertools import compress
from typing import Any

import numpy as np

from corpora.labels.labelled_set import Split

BINS = 10
LEAST_PROBABILITY = 0.1
"""From which on decisions count for the calibration error: of many labels nearly all decisions are near 0 and right,
which would make any classifier's error tiny. It is the edge of a bin."""
ERRORS, TEXT = 5, 300
"""Texts shown, and characters of each."""


def calibration(targets_NL: np.ndarray, scores: Sequence[np.ndarray]) -> dict[str, Any]:
    """Mean probability against the share that is true, in ten equal bins of probability, over all (question, label).

    `scores` are the probabilities (N, L) of each seed. `error` is the expected calibration error (Naeini et al. 2015):
    the mean distance of the two, with the number of decisions in each bin as weights; here over decisions from
    LEAST_PROBABILITY on, None where there is none. Empty bins are left out.
    """
    flat = np.concatenate([part.ravel() for part in scores]).astype(np.float64)
    truth = np.tile(targets_NL.ravel(), len(scores)).astype(np.float64)
    bin_of = np.minimum((flat * BINS).astype(int), BINS - 1)
    counts = np.bincount(bin_of, minlength=BINS)
    known = counts > 0
    predicted = np.bincount(bin_of, flat, BINS)[known] / counts[known]
    true = np.bincount(bin_of, truth, BINS)[known] / counts[known]
    weights = counts[known] * (np.arange(BINS)[known] / BINS >= LEAST_PROBABILITY)
    error = float(np.average(np.abs(predicted - true), weights=weights)) if weights.any() else None
    points = [
        {"predicted": p, "true": t, "decisions": n}
        for p, t, n in zip(predicted.tolist(), true.tolist(), counts[known].tolist(), strict=True)
    ]
    return {"points": points, "error": error}


def worst_errors(
    split: Split, scores_NL: np.ndarray, thresholds_L: np.ndarray, labels: Sequence[str]
) -> list[dict[str, Any]]:
    """The texts with the highest cross entropy, worst first: their labels, what was predicted, and the `highest` label.

    Nothing is predicted where no label reaches its threshold.
    """
    clipped_NL = np.clip(scores_NL.astype(np.float64), 1e-7, 1 - 1e-7)
    losses_N = -np.where(split.targets > 0, np.log(clipped_NL), np.log1p(-clipped_NL)).sum(1)
    found = []
    for number in np.argsort(-losses_N, kind="stable")[:ERRORS]:
        order_L = np.argsort(-scores_NL[number], kind="stable")
        named = [{"label": labels[n], "score": float(scores_NL[number, n])} for n in order_L]
        reached_L = (scores_NL[number] >= thresholds_L)[order_L]
        found.append(
            {
                "id": split.ids[number],
                "text": " ".join(split.texts[number].split())[:TEXT],
                "labels": [name for name, target in zip(labels, split.targets[number], strict=True) if target],
                "predicted": list(compress(named, reached_L)),
                "highest": named[0],
            }
        )
    return found
