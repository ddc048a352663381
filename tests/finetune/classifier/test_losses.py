"""Losses of labels, against their definitions."""

import numpy as np
import pytest
import tensorflow as tf

from finetune.classifier.losses import label_loss, positive_weights


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits and targets (9, 4), and their probabilities."""
    generator = np.random.default_rng(0)
    logits_NL = generator.normal(0, 2, (9, 4))
    return logits_NL, (generator.random((9, 4)) < 0.3).astype(np.uint8), 1 / (1 + np.exp(-logits_NL))


def loss_of(kind: str, logits_NL: np.ndarray, targets_NL: np.ndarray, weights_L: np.ndarray) -> np.ndarray:
    return label_loss(kind, tf.constant(logits_NL, tf.float32), targets_NL, tf.constant(weights_L, tf.float32)).numpy()


def test_cross_entropy_is_keras(drawn):
    logits_NL, targets_NL, scores_NL = drawn
    expected = tf.keras.losses.binary_crossentropy(targets_NL.astype("f4"), scores_NL.astype("f4")).numpy()
    np.testing.assert_allclose(loss_of("cross-entropy", logits_NL, targets_NL, np.ones(4)), expected, atol=1e-5)


def test_focal_loss_is_keras(drawn):
    logits_NL, targets_NL, scores_NL = drawn
    keras = tf.keras.losses.binary_focal_crossentropy(targets_NL.astype("f4"), scores_NL.astype("f4"), gamma=2.0)
    np.testing.assert_allclose(loss_of("focal", logits_NL, targets_NL, np.ones(4)), keras.numpy(), atol=1e-5)


def test_asymmetric_loss_is_the_papers(drawn):
    logits_NL, targets_NL, p_NL = drawn
    shifted_NL = np.maximum(p_NL - 0.05, 0)
    losses_NL = np.where(targets_NL, -np.log(p_NL), -np.log(1 - shifted_NL) * shifted_NL**4)
    np.testing.assert_allclose(loss_of("asymmetric", logits_NL, targets_NL, np.ones(4)), losses_NL.mean(1), atol=1e-5)


@pytest.mark.parametrize("kind", ["cross-entropy", "focal", "asymmetric"])
def test_losses_and_gradients_are_finite_at_extreme_logits(kind):
    logits_NL = tf.constant([[-80.0, 80.0], [80.0, -80.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits_NL)
        loss = tf.reduce_sum(label_loss(kind, logits_NL, tf.constant([[1, 0], [1, 0]]), tf.ones(2)))
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, logits_NL)).all()


def test_positives_weigh_by_their_rarity(drawn):
    targets_NL = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    np.testing.assert_allclose(positive_weights(targets_NL, 1.0), [4, 1, 1])
    np.testing.assert_allclose(positive_weights(targets_NL, 0.5), [2, 1, 1])
    np.testing.assert_allclose(positive_weights(targets_NL, 0.0), [1, 1, 1])
    logits_NL, targets_NL, scores_NL = drawn
    weighted = np.where(targets_NL, -3 * np.log(scores_NL), -np.log(1 - scores_NL)).mean(1)
    np.testing.assert_allclose(loss_of("cross-entropy", logits_NL, targets_NL, np.full(4, 3.0)), weighted, atol=1e-5)
