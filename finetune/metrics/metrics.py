"""Multi-label metrics with their definitions, and the tuning of decision thresholds."""

# N texts, L labels, K thresholds

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from sklearn import metrics

Targets = npt.NDArray[np.uint8]
Scores = npt.NDArray[np.floating]
Thresholds = float | npt.NDArray[np.float64]
"""One for all labels, or one per label (L,)."""

THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.01), 2)
MIN_POSITIVES = 10
"""Number of dev texts that a label needs for a threshold of its own; with fewer, the tuned value is mostly noise."""

DEFINITIONS = {
    "weighted_f1": "F1 of each label at the stated threshold, averaged with supports as weights (scikit-learn).",
    "micro_f1": "F1 of all (question, label) decisions together.",
    "macro_f1": "F1 of each label, averaged with equal weights.",
    "samples_f1": "F1 of each question's set of labels, averaged over questions.",
    "subset_accuracy": "Share of questions whose set of labels is exactly right.",
    "val_acc": "Keras's accuracy on a multi-hot target: share of questions whose highest-scoring label is the first of "
    "their labels in label order.",
    "precision_at_1": "Share of questions whose highest-scoring label is true.",
    "recall_at_3": "True labels among the 3 highest-scoring, over min(3, true labels), averaged over questions.",
    "recall_at_5": "True labels among the 5 highest-scoring, over min(5, true labels), averaged over questions.",
    "without_label": "Share of questions that get no label: none of their scores reaches its threshold.",
    "average_precision": "Area under each label's precision-recall curve, averaged with supports as weights; needs no "
    "threshold.",
}


def evaluate(targets_NL: Targets, scores_NL: Scores, thresholds: Thresholds) -> dict[str, float]:
    """Every metric of `DEFINITIONS` for probabilities `scores_NL`, deciding at `score >= thresholds`."""
    decided_NL = scores_NL >= thresholds
    averages = {
        f"{name}_f1": metrics.f1_score(targets_NL, decided_NL, average=name, zero_division=0)
        for name in ("weighted", "micro", "macro", "samples")
    }
    present = targets_NL.any(0)
    return {name: float(value) for name, value in averages.items()} | {
        "without_label": float(np.mean(~decided_NL.any(1))),
        "subset_accuracy": float(metrics.accuracy_score(targets_NL, decided_NL)),
        "val_acc": first_label_accuracy(targets_NL, scores_NL),
        "precision_at_1": precision_at(targets_NL, scores_NL, 1),
        "recall_at_3": recall_at(targets_NL, scores_NL, 3),
        "recall_at_5": recall_at(targets_NL, scores_NL, 5),
        "average_precision": float(
            metrics.average_precision_score(targets_NL[:, present], scores_NL[:, present], average="weighted")
        ),
    }


def first_label_accuracy(targets_NL: Targets, scores_NL: Scores) -> float:
    """Share of texts with argmax(scores) = argmax(targets), which is Keras's 'accuracy' on a multi-hot target."""
    return float(np.mean(scores_NL.argmax(1) == targets_NL.argmax(1)))


def precision_at(targets_NL: Targets, scores_NL: Scores, k: int) -> float:
    """True labels among the k highest-scoring, over k, averaged over texts."""
    return float(np.mean(_hits_at(targets_NL, scores_NL, k) / k))


def recall_at(targets_NL: Targets, scores_NL: Scores, k: int) -> float:
    """True labels among the k highest-scoring, over min(k, labels), averaged over the texts that have labels."""
    labels_N = targets_NL.sum(1)
    some_N = labels_N > 0
    return float(np.mean(_hits_at(targets_NL, scores_NL, k)[some_N] / np.minimum(labels_N[some_N], k)))


@dataclass(frozen=True)
class LabelMetrics:
    """Metrics of one label."""

    label: str
    support: int
    """Number of texts with the label."""
    precision: float
    recall: float
    f1: float


def per_label(
    targets_NL: Targets, scores_NL: Scores, thresholds: Thresholds, names: Sequence[str]
) -> list[LabelMetrics]:
    """Support, precision, recall and F1 of each label."""
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        targets_NL, scores_NL >= thresholds, zero_division=0
    )
    columns = support.tolist(), precision.tolist(), recall.tolist(), f1.tolist()
    return [LabelMetrics(*values) for values in zip(names, *columns, strict=True)]


def decision_counts(
    targets_NL: Targets, scores_NL: Scores, thresholds: Thresholds
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """True positives, and false positives or negatives, each (N, L). Summed over texts, they determine F1."""
    decided_NL = scores_NL >= thresholds
    return decided_NL & (targets_NL > 0), decided_NL != (targets_NL > 0)


def weighted_f1_of_counts(
    right_L: npt.NDArray[np.number], wrong_L: npt.NDArray[np.number], support_L: npt.NDArray[np.number]
) -> npt.NDArray[np.float64]:
    """Weighted F1 from sums of `decision_counts` and label supports, over the last axis."""
    f1_L = 2 * right_L / np.maximum(2 * right_L + wrong_L, 1)
    f1 = (f1_L * support_L).sum(-1) / np.maximum(support_L.sum(-1), 1)
    return cast(npt.NDArray[np.float64], f1)


def tune_threshold(targets_NL: Targets, scores_NL: Scores) -> tuple[float, float]:
    """The threshold with the best weighted F1, the middle one of equals, and that F1. For dev data only."""
    right_KL, wrong_KL = _counts_by_threshold(targets_NL, scores_NL)
    f1_K = weighted_f1_of_counts(right_KL, wrong_KL, np.broadcast_to(targets_NL.sum(0), right_KL.shape))
    best = _middle_of_best(f1_K)
    return float(THRESHOLDS[best]), float(f1_K[best])


def tune_thresholds(kind: str, targets_NL: Targets, scores_NL: Scores) -> npt.NDArray[np.float64]:
    """Thresholds (L,) with the best weighted F1: the same for all labels if `kind` is 'global', else one per label.

    A label with fewer than MIN_POSITIVES dev texts, or with F1 0 at every threshold, gets the global one. For dev data
    only.
    """
    shared = tune_threshold(targets_NL, scores_NL)[0]
    if kind == "global":
        return np.full(targets_NL.shape[1], shared)
    right_KL, wrong_KL = _counts_by_threshold(targets_NL, scores_NL)
    f1_KL = 2 * right_KL / np.maximum(2 * right_KL + wrong_KL, 1)
    own_L = THRESHOLDS[[_middle_of_best(f1_K) for f1_K in f1_KL.T]]
    known_L = (targets_NL.sum(0, dtype=np.int64) >= MIN_POSITIVES) & (f1_KL.max(0) > 0)
    return np.where(known_L, own_L, shared)


def _middle_of_best(f1_K: npt.NDArray[np.floating]) -> int:
    """Index of the middle of the longest run of thresholds with the highest F1; at its edge, one text could change it.

    >>> _middle_of_best(np.array([0.5, 0.9, 0.1, 0.9, 0.9, 0.9]))
    4
    """
    best = np.flatnonzero(f1_K == f1_K.max())
    longest = max(np.split(best, np.flatnonzero(np.diff(best) > 1) + 1), key=len)
    return int(longest[(len(longest) - 1) // 2])


def _counts_by_threshold(
    targets_NL: Targets, scores_NL: Scores
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """Sums of `decision_counts` over texts at each of THRESHOLDS, (K, L)."""
    sums = [[counts_NL.sum(0) for counts_NL in decision_counts(targets_NL, scores_NL, t)] for t in THRESHOLDS]
    right_KL, wrong_KL = (np.array(counts) for counts in zip(*sums, strict=True))
    return right_KL, wrong_KL


def _hits_at(targets_NL: Targets, scores_NL: Scores, k: int) -> npt.NDArray[np.integer]:
    """Number of true labels among the k highest-scoring, (N,)."""
    top_NK = np.argsort(-scores_NL, axis=1, kind="stable")[:, :k]
    return cast(npt.NDArray[np.integer], np.take_along_axis(targets_NL, top_NK, 1).sum(1))
