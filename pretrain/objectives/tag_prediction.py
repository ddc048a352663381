"""Tag prediction: a text's vector tells the tags that people gave it, outside those of the label set.

The target is a distribution over the tags in which the text's own have equal shares, as in the pretraining of image
encoders on hashtags (Mahajan et al. 2018, arXiv 1805.00932, section 2.2).
"""

# B rows, T tokens of a row, M pairs of a text and its target in a row, N = B x M, S texts of a row
# H hidden, P pooled width: H or 2H, V targets

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.config import TextPooling
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Losses
from pretrain.objectives.text_vectors import pooled_vectors
from pretrain.ops.fused_ops import weighted_cross_entropy
from tokenizer.encoding.packed_rows import RowTargets


class TargetBatch(NamedTuple):
    """Packed rows and what their texts are given to predict; all shapes are static."""

    ids_BT: tf.Tensor
    segments_BT: tf.Tensor
    texts_BM: tf.Tensor
    """Number of a text in its row, from 1; 0 in an unused slot."""
    targets_BM: tf.Tensor
    """A target of this text."""
    weights_BM: tf.Tensor
    """The target's share in its text's distribution; 0 in an unused slot."""


class TagPrediction(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """Cross entropy between softmax(head(text vector)) and the text's tags in equal shares.

    The head's kernel starts at 0 and its bias at the tags' log frequencies.
    """

    metrics: tuple[str, ...] = ("loss", "accuracy")
    ignored: tuple[str, ...] = ("mlm/",)
    masks_tokens = False

    def __init__(self, encoder: Encoder, targets: RowTargets, pooling: TextPooling) -> None:
        super().__init__(name="tag_prediction")
        self._encoder, self._pooling, self._max_texts = encoder, pooling, targets.max_texts
        width = encoder.architecture.hidden_dim * len(pooling.split("+"))
        self._kernel = tf.Variable(tf.zeros((width, len(targets.names))), name="tags/kernel")
        self._bias = tf.Variable(log_frequencies(targets), name="tags/bias")

    @property
    def weights(self) -> Mapping[str, tf.Variable]:
        """The head's kernel (P, V) and bias (V,)."""
        return {"tags/kernel": self._kernel, "tags/bias": self._bias}

    def losses(self, batch: TargetBatch) -> Losses:
        """Sums over the texts: cross entropy in nats, and texts whose most probable tag is one of theirs."""
        hidden_BTH = self._encoder.hidden(batch.ids_BT, batch.segments_BT)
        vectors_NP = self._vectors_of_pairs(hidden_BTH, batch)
        logits_NV = tf.matmul(vectors_NP, tf.cast(self._kernel, vectors_NP.dtype))
        bias_V = tf.convert_to_tensor(self._bias)
        targets_N, weights_N = tf.reshape(batch.targets_BM, [-1]), tf.reshape(batch.weights_BM, [-1])
        loss, _ = weighted_cross_entropy(logits_NV, bias_V, targets_N, weights_N)
        best_N = tf.argmax(tf.cast(logits_NV, tf.float32) + bias_V, -1, tf.int32)
        num_correct = tf.reduce_sum(tf.cast((best_N == targets_N) & (weights_N > 0), tf.float32))
        return Losses(loss, tf.stack([loss, num_correct]), tf.reduce_sum(weights_N))

    def _vectors_of_pairs(self, hidden_BTH: tf.Tensor, batch: TargetBatch) -> tf.Tensor:
        """The vector of each pair's text, (N, P) in the encoder's dtype."""
        pooled_BSP = pooled_vectors(hidden_BTH, batch.segments_BT, self._max_texts, self._pooling)
        pairs_BMP = tf.gather(pooled_BSP, tf.maximum(batch.texts_BM - 1, 0), batch_dims=1)
        return tf.cast(tf.reshape(pairs_BMP, (-1, pairs_BMP.shape[-1])), self._encoder.dtype)


def collate_tags(
    ids_BT: tf.Tensor, segments_BT: tf.Tensor, texts_BM: tf.Tensor, targets_BM: tf.Tensor, stream_S: tf.Tensor
) -> TargetBatch:
    """The batch of some rows; nothing in it is random. See `objective.Collator`."""
    del stream_S
    is_same_BMM = tf.cast(texts_BM[:, :, None] == texts_BM[:, None, :], tf.float32)
    weights_BM = tf.where(texts_BM > 0, 1 / tf.reduce_sum(is_same_BMM, -1), 0.0)
    return TargetBatch(ids_BT, segments_BT, texts_BM, targets_BM, weights_BM)


def log_frequencies(targets: RowTargets) -> npt.NDArray[np.float32]:
    """Log of each target's share of the pairs, (V,); smoothed, because some may be in the validation split only."""
    counts_V = np.bincount(targets.pairs_P2[:, 1].astype(np.int64), minlength=len(targets.names)) + 1.0
    logarithms_V: npt.NDArray[np.float32] = np.log(counts_V / counts_V.sum()).astype(np.float32)
    return logarithms_V
