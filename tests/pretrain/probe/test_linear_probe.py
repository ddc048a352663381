"""The linear probe's score: what a regression per label reads from vectors."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from pretrain.probe.linear_probe import STRENGTHS, THRESHOLDS, dev_weighted_f1

TRAIN, DEV, WIDTH, LABELS = 120, 60, 6, 3


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose first values tell the labels, and the labels."""
    generator = np.random.default_rng(seed)
    targets_NL = (generator.uniform(size=(count, LABELS)) < 0.4).astype(np.uint8)
    vectors_NP = generator.normal(0, 1, (count, WIDTH)).astype(np.float32)
    vectors_NP[:, :LABELS] = 10 * targets_NL + vectors_NP[:, :LABELS]
    return 100 + 30 * vectors_NP, targets_NL  # of another scale than the penalty's


def test_labels_that_the_vectors_tell_are_read():
    assert dev_weighted_f1(*drawn(0, TRAIN), *drawn(1, DEV)) == 1.0


def test_labels_of_other_texts_are_not_read():
    (train, labels), (dev, dev_labels) = drawn(0, TRAIN), drawn(1, DEV)
    found = dev_weighted_f1(train, labels[::-1], dev, dev_labels)
    everything = f1_score(dev_labels, np.ones_like(dev_labels), average="weighted")
    assert found < everything + 0.1, "no better than to give each text all labels"


def test_the_best_strength_and_threshold_of_scikit_learns_regressions():
    (train, labels), (dev, dev_labels) = drawn(0, TRAIN), drawn(1, DEV)
    train, dev = train[:, LABELS - 1 :], dev[:, LABELS - 1 :]  # tell the last label only
    center, scale = train.astype("f8").mean(0), train.astype("f8").std(0)
    found = []
    for strength in STRENGTHS:
        columns = [
            LogisticRegression(C=strength, solver="liblinear")
            .fit((train - center) / scale, labels[:, number])
            .predict_proba((dev - center) / scale)[:, 1]
            for number in range(LABELS)
        ]
        scores = np.stack(columns, 1)
        found += [f1_score(dev_labels, scores >= each, average="weighted", zero_division=0) for each in THRESHOLDS]
    assert dev_weighted_f1(train, labels, dev, dev_labels) == pytest.approx(max(found), abs=1e-12)
    assert 0.3 < max(found) < 1


def test_a_label_without_texts_is_no_error():
    (train, labels), (dev, dev_labels) = drawn(0, TRAIN), drawn(1, DEV)
    labels[:, 1], dev_labels[:, 2] = 0, 0
    assert 0.5 < dev_weighted_f1(train, labels, dev, dev_labels) < 1
