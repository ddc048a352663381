"""What a checkpoint must beat to be worth its weight: a linear model of words, and a small net on word vectors."""

# N questions, L labels, D width of a word vector

import re
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from corpora.labels.labelled_set import Split
from finetune.metrics.metrics import tune_threshold

if TYPE_CHECKING:
    from gensim.models.fasttext import FastTextKeyedVectors

# letters, digits and the symbols that technical terms end in or hold: c++, c#, node.js, .net
TERM = r"(?u)\.?\w+(?:[.\-+#]\w+)*[+#]*"
STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse regularisation tried on dev, as a checkpoint has its best epoch chosen on dev."""


VECTOR_DIM, NET_DIM = 100, 128
VECTOR_EPOCHS, NET_EPOCHS = 10, 60


@dataclass(frozen=True)
class BaselineResult:
    """Probabilities (N, L) on dev and test of what did best on dev, and what it took."""

    dev_NL: np.ndarray
    test_NL: np.ndarray
    seconds: dict[str, float]
    parameters: int
    vocab_size: int
    """Terms, or words with a vector."""
    texts_per_second: float
    """Labelled, from text to probabilities."""


def fit_tfidf(train: Split, dev: Split, test: Split, seed: int = 0) -> BaselineResult:
    """Fit one logistic regression a label on TF-IDF of words and word pairs; the strength is chosen on dev.

    Nothing in it is random: `seed` is not used.
    """
    start = time.monotonic()
    vectorizer = TfidfVectorizer(token_pattern=TERM, ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
    train_NF = vectorizer.fit_transform(train.texts)
    dev_NF = vectorizer.transform(dev.texts)
    best: tuple[float, OneVsRestClassifier] | None = None
    for strength in STRENGTHS:
        model = OneVsRestClassifier(LogisticRegression(C=strength, solver="liblinear"))
        with warnings.catch_warnings():
            # a label without a training text is constant, which scikit-learn warns of; the set says so where it is made
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            model.fit(train_NF, train.targets)
        _, f1 = tune_threshold(dev.targets, model.predict_proba(dev_NF))
        if best is None or f1 > best[0]:
            best = (f1, model)
    assert best is not None
    dev_NL = best[1].predict_proba(dev_NF)
    fitted = time.monotonic()
    test_NL = best[1].predict_proba(vectorizer.transform(test.texts))
    speed = len(test.texts) / (time.monotonic() - fitted)
    terms, seconds = train_NF.shape[1], {"fit": fitted - start}
    return BaselineResult(dev_NL, test_NL, seconds, terms * train.targets.shape[1], terms, speed)


def fit_word_vectors(train: Split, dev: Split, test: Split, seed: int = 0) -> BaselineResult:
    """Learn fastText vectors on the training texts, average them over a text, and train a net of one hidden layer.

    As the study's own model before it took encoders. The net's epoch is the one with the best weighted F1 on dev.
    Source of the vectors: Bojanowski et al. 2017 (arXiv 1607.04606), by gensim.
    """
    from gensim.models import FastText  # slow to import, and of use here only

    start = time.monotonic()
    train_words = [_words(text) for text in train.texts]
    # one thread: with more, the order of updates and so the vectors change from run to run
    vectors = FastText(
        train_words,
        vector_size=VECTOR_DIM,
        epochs=VECTOR_EPOCHS,
        min_count=2,
        sg=1,
        bucket=100_000,
        seed=seed + 1,
        workers=1,
    ).wv
    learned = time.monotonic()
    train_ND = _means(vectors, train_words)
    scaler = StandardScaler().fit(train_ND)
    train_ND, dev_ND = scaler.transform(train_ND), scaler.transform(_means(vectors, map(_words, dev.texts)))
    reading = time.monotonic()
    test_ND = scaler.transform(_means(vectors, map(_words, test.texts)))
    read_seconds = time.monotonic() - reading
    net = MLPClassifier((NET_DIM,), batch_size=min(32, len(train_ND)), random_state=seed)
    classes, best = np.arange(train.targets.shape[1]), (-1.0, None, None)
    for _ in range(NET_EPOCHS):
        net.partial_fit(train_ND, train.targets, classes=classes)
        dev_NL = net.predict_proba(dev_ND)
        _, f1 = tune_threshold(dev.targets, dev_NL)
        if f1 > best[0]:
            best = (f1, dev_NL, net.predict_proba(test_ND))
    assert best[1] is not None and best[2] is not None
    labelling = time.monotonic()
    net.predict_proba(test_ND)
    speed = len(test.texts) / (read_seconds + time.monotonic() - labelling)
    parameters = vectors.vectors_vocab.size + vectors.vectors_ngrams.size + sum(part.size for part in net.coefs_)
    seconds = {"word vectors": learned - start, "fit": labelling - learned}
    return BaselineResult(best[1], best[2], seconds, parameters, len(vectors.key_to_index), speed)


def _words(text: str) -> list[str]:
    return re.findall(TERM, text.lower())


def _means(vectors: "FastTextKeyedVectors", texts: Iterable[list[str]]) -> np.ndarray:
    """(N, D) float32: the mean of the vectors of each text's words; 0 for a text without a word."""
    nothing_D = np.zeros(VECTOR_DIM, np.float32)
    return np.stack([vectors.get_mean_vector(words, pre_normalize=True) if words else nothing_D for words in texts])
