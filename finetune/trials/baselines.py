"""Baselines without an encoder: a linear model on TF-IDF, and a small neural network on averaged word vectors."""

# N texts, F terms, L labels, D width of a word vector

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from corpora.labels.labelled_set import Split
from finetune.metrics.metrics import tune_threshold
from pretrain.probe.linear_probe import fit_regressions

if TYPE_CHECKING:
    from gensim.models.fasttext import FastTextKeyedVectors

# letters, digits and the symbols of technical terms: c++, c#, node.js, .net
TERM = r"(?u)\.?\w+(?:[.\-+#]\w+)*[+#]*"
STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse regularization strengths; the best is chosen on dev, like a checkpoint's best epoch."""

VECTOR_DIM, HIDDEN_DIM = 100, 128
VECTOR_EPOCHS, NETWORK_EPOCHS = 10, 60


@dataclass(frozen=True)
class BaselineResult:
    """Probabilities of the model that is best on dev, and its cost."""

    dev_NL: npt.NDArray[np.floating]
    test_NL: npt.NDArray[np.floating]
    seconds: dict[str, float]
    """Duration of each stage."""
    parameters: int
    vocab_size: int
    """Number of terms, or of words with a vector."""
    texts_per_second: float
    """Speed of labelling, from text to probabilities."""


def fit_tfidf(train: Split, dev: Split, test: Split, seed: int = 0) -> BaselineResult:
    """Fit a logistic regression per label on TF-IDF of words and word pairs; the strength is chosen on dev.

    It is deterministic: `seed` is not used.
    """
    start = time.monotonic()
    vectorizer = TfidfVectorizer(token_pattern=TERM, ngram_range=(1, 2), min_df=2, sublinear_tf=True, dtype=np.float32)
    train_NF = vectorizer.fit_transform(train.texts)
    dev_NF = vectorizer.transform(dev.texts)
    best: tuple[float, OneVsRestClassifier] | None = None
    for strength in STRENGTHS:
        model = fit_regressions(train_NF, train.targets, strength)
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
    """Learn fastText vectors from the training texts, average them per text and train a network of one hidden layer.

    The network's epoch is chosen by weighted F1 on dev. The vectors are gensim's implementation of Bojanowski et al.
    2017 (arXiv 1607.04606).
    """
    start = time.monotonic()
    train_words = [_words(text) for text in train.texts]
    vectors = _learn_vectors(train_words, seed)
    learned = time.monotonic()
    train_ND = _mean_vectors(vectors, train_words)
    scaler = StandardScaler().fit(train_ND)
    train_ND, dev_ND = scaler.transform(train_ND), scaler.transform(_mean_vectors(vectors, map(_words, dev.texts)))
    reading = time.monotonic()
    test_ND = scaler.transform(_mean_vectors(vectors, map(_words, test.texts)))
    read_seconds = time.monotonic() - reading
    network = MLPClassifier((HIDDEN_DIM,), batch_size=min(32, len(train_ND)), random_state=seed)
    dev_NL, test_NL = _train_network(network, train_ND, train.targets, dev_ND, dev.targets, test_ND)
    trained = time.monotonic()
    network.predict_proba(test_ND)
    predict_seconds = time.monotonic() - trained
    sizes = vectors.vectors_vocab.size, vectors.vectors_ngrams.size, *(weights.size for weights in network.coefs_)
    return BaselineResult(
        dev_NL,
        test_NL,
        seconds={"word vectors": learned - start, "fit": trained - learned},
        parameters=sum(sizes),
        vocab_size=len(vectors.key_to_index),
        texts_per_second=len(test.texts) / (read_seconds + predict_seconds),
    )


def _learn_vectors(texts: list[list[str]], seed: int) -> "FastTextKeyedVectors":
    from gensim.models import FastText  # slow to import

    # one thread: with more, the order of updates and so the vectors change from run to run
    model = FastText(
        texts,
        vector_size=VECTOR_DIM,
        epochs=VECTOR_EPOCHS,
        min_count=2,
        sg=1,
        bucket=100_000,
        seed=seed + 1,
        workers=1,
    )
    return model.wv


def _train_network(
    network: MLPClassifier,
    train_ND: npt.NDArray[np.floating],
    train_NL: npt.NDArray[np.uint8],
    dev_ND: npt.NDArray[np.floating],
    dev_NL: npt.NDArray[np.uint8],
    test_ND: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Train `network`; returns probabilities on dev and test at the epoch with the best weighted F1 on dev."""
    classes = np.arange(train_NL.shape[1])
    best_f1, best = -1.0, (np.empty(0), np.empty(0))
    for _ in range(NETWORK_EPOCHS):
        network.partial_fit(train_ND, train_NL, classes=classes)
        scores_NL = network.predict_proba(dev_ND)
        _, f1 = tune_threshold(dev_NL, scores_NL)
        if f1 > best_f1:
            best_f1, best = f1, (scores_NL, network.predict_proba(test_ND))
    return best


def _words(text: str) -> list[str]:
    return re.findall(TERM, text.lower())


def _mean_vectors(vectors: "FastTextKeyedVectors", texts: Iterable[list[str]]) -> npt.NDArray[np.float32]:
    """Mean vector of each text's words, (N, D); 0 for a text without words."""
    zeros_D = np.zeros(VECTOR_DIM, np.float32)
    return np.stack([vectors.get_mean_vector(words, pre_normalize=True) if words else zeros_D for words in texts])
