"""Losses of independent labels, and weights for the rare ones."""

# N texts, L labels

import math

import numpy as np
import tensorflow as tf

FOCUS = 2.0
"""Exponent of the focal loss (Lin et al. 2017, arXiv 1708.02002)."""
NEGATIVE_FOCUS, MARGIN = 4.0, 0.05
"""Exponent and probability margin of the negatives in the asymmetric loss (Ridnik et al. 2021, arXiv 2009.14119)."""


def label_loss(kind: str, logits_NL: tf.Tensor, targets_NL: tf.Tensor, positive_weights_L: tf.Tensor) -> tf.Tensor:
    """The loss of each text, (N,): the mean over labels, in nats where `kind` is 'cross-entropy'.

    'focal' scales each decision by (1 - p)^2, p the probability given to the truth; 'asymmetric' leaves positives as
    they are, takes 0.05 off the probability of each negative and scales it by the fourth power of what remains.
    """
    truth_NL = tf.cast(targets_NL, logits_NL.dtype)
    positive_NL = -tf.math.log_sigmoid(logits_NL)
    negative_NL = -tf.math.log_sigmoid(-logits_NL)
    if kind == "focal":
        positive_NL *= tf.sigmoid(-logits_NL) ** FOCUS
        negative_NL *= tf.sigmoid(logits_NL) ** FOCUS
    elif kind == "asymmetric":
        shifted_NL = tf.nn.relu(tf.sigmoid(logits_NL) - MARGIN)
        negative_NL = -tf.math.log1p(-shifted_NL) * shifted_NL**NEGATIVE_FOCUS
    elif kind != "cross-entropy":
        raise ValueError(kind)
    losses_NL = truth_NL * positive_weights_L * positive_NL + (1 - truth_NL) * negative_NL
    return tf.reduce_mean(losses_NL, 1)


def positive_weights(targets_NL: np.ndarray, balance: float) -> np.ndarray:
    """(negatives / positives) ** balance of each label, (L,) float32: 1 with balance 0, evenly weighted with 1.

    A label without a positive weighs 1.

    >>> positive_weights(np.array([[1, 0], [0, 0], [0, 0]]), 1.0).tolist()
    [2.0, 1.0]
    """
    positives_L = targets_NL.sum(0, dtype=np.int64)
    ratio_L = (len(targets_NL) - positives_L) / np.maximum(positives_L, 1)
    return np.where((positives_L > 0) & (ratio_L > 0), np.maximum(ratio_L, math.ulp(1.0)) ** balance, 1.0).astype(
        np.float32
    )
