"""How well a linear classifier reads labels from the vectors of texts (Alain and Bengio 2016, arXiv 1610.01644)."""

# N texts, P width of a vector, L labels

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from corpora.arrays import Codes

STRENGTHS = (0.001, 0.01, 0.1)
"""Inverse regularization strengths on standardized vectors; the best is chosen on dev."""
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)

Vectors = npt.NDArray[np.float32]


def dev_weighted_f1(train_NP: Vectors, train_NL: Codes, dev_NP: Vectors, dev_NL: Codes) -> float:
    """Weighted F1 on dev of a logistic regression per label, with the strength and threshold that are best there.

    It is deterministic, whatever the number of threads: liblinear's solver has one.
    """
    scaler = StandardScaler().fit(train_NP.astype(np.float64))
    train, dev = (scaler.transform(each.astype(np.float64)) for each in (train_NP, dev_NP))
    best = 0.0
    for strength in STRENGTHS:
        scores_NL = fit_regressions(train, train_NL, strength).predict_proba(dev)
        for threshold in THRESHOLDS:
            best = max(best, float(f1_score(dev_NL, scores_NL >= threshold, average="weighted", zero_division=0)))
    return best


def fit_regressions(train: Any, train_NL: Codes, strength: float) -> OneVsRestClassifier:
    """A logistic regression per label on the features of texts, (N, P), an array or a sparse matrix.

    `strength` is the inverse of the regularization's.
    """
    model = OneVsRestClassifier(LogisticRegression(C=strength, solver="liblinear"))
    with warnings.catch_warnings():
        # scikit-learn warns of labels that none or all of the texts have; 'corpora label' has reported them
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return model.fit(train, train_NL)
