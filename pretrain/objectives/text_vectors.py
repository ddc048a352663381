"""Vectors of the texts of packed rows."""

# B rows, T tokens of a row, S texts of a row, H hidden, P pooled width: H or 2H

import tensorflow as tf

from pretrain.config import TextPooling

MIN_SQUARED_NORM = 1e-12  # of a vector; a text that is not in the row has a vector of zeros


def text_vectors(hidden_BTH: tf.Tensor, segments_BT: tf.Tensor, max_texts: int) -> tf.Tensor:
    """Mean hidden state of each text, and its first token's, (2, B, S, H) float32; 0 where there is no text."""
    hidden_BTH = tf.cast(hidden_BTH, tf.float32)
    begins_BT = tf.pad(segments_BT[:, 1:] != segments_BT[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    of_text_BST = tf.cast(segments_BT[:, None, :] == tf.range(1, max_texts + 1)[:, None], tf.float32)
    counts_BS1 = tf.reduce_sum(of_text_BST, -1, keepdims=True)
    means_BSH = tf.matmul(of_text_BST / tf.maximum(counts_BS1, 1.0), hidden_BTH)
    first_BSH = tf.matmul(of_text_BST * tf.cast(begins_BT, tf.float32)[:, None, :], hidden_BTH)
    return tf.stack([means_BSH, first_BSH])


def pooled_vectors(hidden_BTH: tf.Tensor, segments_BT: tf.Tensor, max_texts: int, pooling: TextPooling) -> tf.Tensor:
    """The pooled vector of each text, (B, S, P) float32; 0 where there is no text."""
    mean_BSH, first_BSH = tf.unstack(text_vectors(hidden_BTH, segments_BT, max_texts))
    vectors = {"cls": first_BSH, "mean": mean_BSH}
    return tf.concat([vectors[name] for name in pooling.split("+")], -1)


def normalized(vectors: tf.Tensor) -> tf.Tensor:
    """The vectors, along the last axis, divided by their lengths; those of zeros as they are."""
    return vectors * tf.math.rsqrt(tf.maximum(tf.reduce_sum(vectors**2, -1, keepdims=True), MIN_SQUARED_NORM))
