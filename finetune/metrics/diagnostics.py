"""Calibration of a classifier's probabilities, and its worst errors."""

# N texts, L labels

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from corpora.labels.labelled_set import Split

BINS = 10
MIN_PROBABILITY = 0.1
"""Decisions below this probability do not count for the calibration error. With many labels, nearly all decisions are
near 0 and correct, which would make any classifier's error tiny. It is the edge of a bin."""
MAX_ERRORS = 5
MAX_CHARACTERS = 300
"""Number of texts shown, and characters of each."""


@dataclass(frozen=True)
class CalibrationPoint:
    """One bin of probabilities."""

    predicted: float
    """Mean probability."""
    true: float
    """Share of decisions that are true."""
    decisions: int


@dataclass(frozen=True)
class Calibration:
    """The calibration curve, without empty bins, and the expected calibration error."""

    points: list[CalibrationPoint]
    error: float | None
    """None if no probability reaches MIN_PROBABILITY."""


@dataclass(frozen=True)
class ScoredLabel:
    """A label and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class WorstError:
    """A test text with a high loss."""

    id: str | None
    text: str
    labels: list[str]
    """True labels."""
    predicted: list[ScoredLabel]
    """Labels that reach their threshold, the most probable first."""
    highest: ScoredLabel
    """The most probable label."""


def calibration(targets_NL: npt.NDArray[np.uint8], scores: Sequence[npt.NDArray[np.floating]]) -> Calibration:
    """Calibration in ten equal bins of probability, over all (text, label) decisions.

    `scores` are the probabilities (N, L) of each seed. The expected calibration error (Naeini et al. 2015) is the mean
    distance between probability and share of true decisions, weighted by the number of decisions in each bin; here
    over decisions from MIN_PROBABILITY on.
    """
    flat = np.concatenate([scores_NL.ravel() for scores_NL in scores]).astype(np.float64)
    truth = np.tile(targets_NL.ravel(), len(scores)).astype(np.float64)
    bin_of = np.minimum((flat * BINS).astype(int), BINS - 1)
    counts = np.bincount(bin_of, minlength=BINS)
    known = counts > 0
    predicted = np.bincount(bin_of, flat, BINS)[known] / counts[known]
    true = np.bincount(bin_of, truth, BINS)[known] / counts[known]
    weights = counts[known] * (np.arange(BINS)[known] / BINS >= MIN_PROBABILITY)
    error = float(np.average(np.abs(predicted - true), weights=weights)) if weights.any() else None
    columns = predicted.tolist(), true.tolist(), counts[known].tolist()
    return Calibration([CalibrationPoint(*point) for point in zip(*columns, strict=True)], error)


def worst_errors(
    split: Split,
    scores_NL: npt.NDArray[np.floating],
    thresholds_L: npt.NDArray[np.float64],
    labels: Sequence[str],
) -> list[WorstError]:
    """The texts with the highest cross entropy, highest first."""
    clipped_NL = np.clip(scores_NL.astype(np.float64), 1e-7, 1 - 1e-7)
    losses_N = -np.where(split.targets > 0, np.log(clipped_NL), np.log1p(-clipped_NL)).sum(1)
    errors = []
    for index in np.argsort(-losses_N, kind="stable")[:MAX_ERRORS]:
        order_L = np.argsort(-scores_NL[index], kind="stable")
        ranked = [ScoredLabel(labels[n], float(scores_NL[index, n])) for n in order_L]
        reached_L = (scores_NL[index] >= thresholds_L)[order_L]
        errors.append(
            WorstError(
                id=split.ids[index],
                text=" ".join(split.texts[index].split())[:MAX_CHARACTERS],
                labels=[name for name, target in zip(labels, split.targets[index], strict=True) if target],
                predicted=list(compress(ranked, reached_L)),
                highest=ranked[0],
            )
        )
    return errors
