"""What a checkpoint must beat to be worth its weight: TF-IDF and logistic regression."""

# N questions, L labels

import time
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from corpora.labelled import Split
from finetune.metrics import tune_threshold

# letters, digits and the symbols that technical terms end in or hold: c++, c#, node.js, .net
TERM = r"(?u)\.?\w+(?:[.\-+#]\w+)*[+#]*"
STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse regularisation tried on dev, as a checkpoint has its best epoch chosen on dev."""


@dataclass(frozen=True)
class LinearResult:
    """Probabilities (N, L) of the best strength on dev and test, and what it took."""

    dev_NL: np.ndarray
    test_NL: np.ndarray
    strength: float
    features: int
    seconds: float


def fit_tfidf(train: Split, dev: Split, test: Split) -> LinearResult:
    """Fit one logistic regression a label on TF-IDF of words and word pairs; the strength is chosen on dev."""
    start = time.monotonic()
    vectorizer = TfidfVectorizer(token_pattern=TERM, ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
    train_NF = vectorizer.fit_transform(train.texts)
    dev_NF, test_NF = vectorizer.transform(dev.texts), vectorizer.transform(test.texts)
    best: tuple[float, float, OneVsRestClassifier] | None = None
    for strength in STRENGTHS:
        model = OneVsRestClassifier(LogisticRegression(C=strength, solver="liblinear"))
        with warnings.catch_warnings():
            # a label without a training text is constant, which scikit-learn warns of; the set says so where it is made
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            model.fit(train_NF, train.targets)
        _, f1 = tune_threshold(dev.targets, model.predict_proba(dev_NF))
        if best is None or f1 > best[0]:
            best = (f1, strength, model)
    assert best is not None
    _, strength, model = best
    seconds = time.monotonic() - start
    return LinearResult(model.predict_proba(dev_NF), model.predict_proba(test_NF), strength, train_NF.shape[1], seconds)
