"""Contrastive learning on pairs of texts: each text finds its partner among the other texts of the batch.

InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748, section 2.3), in both directions, on
cosines over a temperature (as in CLIP: Radford et al. 2021, arXiv 2103.00020, section 2.3).
"""

# B rows, T tokens of a row, S pairs of a row, N = B x S, H hidden, P pooled width: H or 2H

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import tensorflow as tf

from pretrain.config import TextPooling
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Losses
from pretrain.objectives.text_vectors import normalized, pooled_vectors

NO_LOGIT = -1e9  # of a slot without a pair: far below any cosine over a temperature


class PairBatch(NamedTuple):
    """Packed rows of pairs: texts 2 n - 1 and 2 n of a row are its pair n."""

    ids_BT: tf.Tensor
    segments_BT: tf.Tensor


class PairContrast:
    """Cross entropy of each text's partner among the partners of all texts of the batch, averaged over directions."""

    metrics: tuple[str, ...] = ("loss", "accuracy")
    weights: Mapping[str, tf.Variable] = MappingProxyType({})
    ignored: tuple[str, ...] = ("mlm/",)
    masks_tokens = False

    def __init__(self, encoder: Encoder, max_pairs: int, pooling: TextPooling, temperature: float) -> None:
        """`max_pairs`: S, the most pairs of a row."""
        self._encoder, self._max_pairs, self._pooling = encoder, max_pairs, pooling
        self._temperature = temperature

    def losses(self, batch: PairBatch) -> Losses:
        """Those of `losses_of_vectors`, for rows that are a whole batch."""
        return self.losses_of_vectors(self.vectors(batch))

    def vectors(self, batch: PairBatch) -> tf.Tensor:
        """Unit vectors of both texts of each pair, (B, S, 2, P) float32; 0 in slots without a pair."""
        hidden_BTH = self._encoder.hidden(batch.ids_BT, batch.segments_BT)
        pooled = pooled_vectors(hidden_BTH, batch.segments_BT, 2 * self._max_pairs, self._pooling)
        return normalized(tf.reshape(pooled, (pooled.shape[0], self._max_pairs, 2, pooled.shape[-1])))

    def losses_of_vectors(self, vectors: tf.Tensor) -> Losses:
        """Sums over the pairs: cross entropy in nats, and texts whose partner is the nearest, averaged over directions.

        `vectors` is (B, S, 2, P), from the method of that name. A pair's negatives are all other pairs of the batch.
        """
        pairs_N2P = tf.reshape(vectors, (-1, 2, vectors.shape[-1]))
        is_pair_N = tf.reduce_any(pairs_N2P != 0, axis=(1, 2))
        one_NP, other_NP = tf.unstack(pairs_N2P, axis=1)
        logits_NN = tf.matmul(one_NP, other_NP, transpose_b=True) / self._temperature
        logits_NN = tf.where(is_pair_N[:, None] & is_pair_N, logits_NN, NO_LOGIT)
        weights_N, partners_N = tf.cast(is_pair_N, tf.float32), tf.range(tf.shape(logits_NN)[0])
        loss = num_correct = tf.constant(0.0)
        for axis in (0, 1):
            log_shares_N = tf.linalg.diag_part(tf.nn.log_softmax(logits_NN, axis))
            nearest_N = tf.argmax(logits_NN, axis, tf.int32)
            loss -= tf.reduce_sum(weights_N * log_shares_N) / 2
            num_correct += tf.reduce_sum(weights_N * tf.cast(nearest_N == partners_N, tf.float32)) / 2
        return Losses(loss, tf.stack([loss, num_correct]), tf.reduce_sum(weights_N))


def collate_pairs(ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> PairBatch:
    """The batch of some rows; nothing in it is random. See `objective.Collator`."""
    del stream_S
    return PairBatch(ids_BT, segments_BT)
