"""Multi-label losses, and weights of rare labels."""

# N texts, L labels

import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

FOCUS = 2.0
"""Exponent of the focal loss (Lin et al. 2017, arXiv 1708.02002)."""
NEGATIVE_FOCUS, MARGIN = 4.0, 0.05
"""Exponent and probability margin of the negatives in the asymmetric loss (Ridnik et al. 2021, arXiv 2009.14119)."""


def label_loss(kind: str, logits_NL: tf.Tensor, targets_NL: tf.Tensor, positive_weights_L: tf.Tensor) -> tf.Tensor:
    """Loss of each text, (N,): the mean over labels, in nats if `kind` is 'cross-entropy'.

    'focal' scales the loss of each label by (1 - p)^2, with p the probability of the true class. 'asymmetric' leaves
    positives unscaled; for negatives it subtracts 0.05 from the probability and scales by the fourth power of the rest.
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


def positive_weights(targets_NL: npt.NDArray[np.integer], balance: float) -> npt.NDArray[np.float32]:
    """(negatives / positives) ** balance of each label, (L,); 1 for a label without positives.

    >>> positive_weights(np.array([[1, 0], [0, 0], [0, 0]]), 1.0).tolist()
    [2.0, 1.0]
    """
    positives_L = targets_NL.sum(0, dtype=np.int64)
    ratio_L = (len(targets_NL) - positives_L) / np.maximum(positives_L, 1)
    weights_L = np.maximum(ratio_L, math.ulp(1.0)) ** balance
    return np.where((positives_L > 0) & (ratio_L > 0), weights_L, 1.0).astype(np.float32)
