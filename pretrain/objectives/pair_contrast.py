"""Contrastive learning on pairs of texts: each text finds its partner among the other texts of the batch.

InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748, section 2.3), in both directions, on
cosines over a temperature (as in CLIP: Radford et al. 2021, arXiv 2103.00020, section 2.3).

Where pairs share texts, such as a question's title with its body and with its answer, two pairs with a text in common
are no negatives of each other. Which texts are the same is told by a hash of their tokens, which goes with the vectors.
"""

# B rows, T tokens of a row, S pairs of a row, N = B x S, H hidden, P pooled width: H or 2H
# W vector width: P, with the hash of a text P + 2

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import tensorflow as tf

from pretrain.config import TextPooling
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Losses
from pretrain.objectives.text_vectors import normalized, pooled_vectors

NO_LOGIT = -1e9  # of a slot without a pair, or a pair that is no negative: far below any cosine over a temperature
HASH_WIDTH = 2  # 32 bits as two numbers of 16, which float32 holds exactly


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
    has_shared_texts = False

    def __init__(
        self,
        encoder: Encoder,
        max_pairs: int,
        pooling: TextPooling,
        temperature: float,
        has_shared_texts: bool = False,
    ) -> None:
        """`max_pairs`: S, the most pairs of a row. `has_shared_texts`: pairs with a text in common are no negatives."""
        self._encoder, self._max_pairs, self._pooling = encoder, max_pairs, pooling
        self._temperature, self.has_shared_texts = temperature, has_shared_texts

    def losses(self, batch: PairBatch) -> Losses:
        """Those of `losses_of_vectors`, for rows that are a whole batch."""
        return self.losses_of_vectors(self.vectors(batch))

    def vectors(self, batch: PairBatch) -> tf.Tensor:
        """Unit vectors of both texts of each pair, (B, S, 2, W) float32; 0 in slots without a pair.

        With shared texts, the last two numbers are the hash of the text.
        """
        hidden_BTH = self._encoder.hidden(batch.ids_BT, batch.segments_BT)
        pooled = pooled_vectors(hidden_BTH, batch.segments_BT, 2 * self._max_pairs, self._pooling)
        vectors = normalized(tf.reshape(pooled, (pooled.shape[0], self._max_pairs, 2, pooled.shape[-1])))
        if not self.has_shared_texts:
            return vectors
        hashes = text_hashes(batch.ids_BT, batch.segments_BT, 2 * self._max_pairs)
        return tf.concat([vectors, tf.reshape(hashes, (*vectors.shape[:-1], HASH_WIDTH))], -1)

    def losses_of_vectors(self, vectors: tf.Tensor) -> Losses:
        """Sums over the pairs: cross entropy in nats, and texts whose partner is the nearest, averaged over directions.

        `vectors` is (B, S, 2, W), from the method of that name. A pair's negatives are all other pairs of the batch,
        with shared texts those without a text in common with it.
        """
        pairs_N2P = tf.reshape(vectors, (-1, 2, vectors.shape[-1]))
        shares_text_NN = None
        if self.has_shared_texts:
            pairs_N2P, hashes_N2W = pairs_N2P[..., :-HASH_WIDTH], pairs_N2P[..., -HASH_WIDTH:]
            shares_text_NN = _shares_text(hashes_N2W)
        is_pair_N = tf.reduce_any(pairs_N2P != 0, axis=(1, 2))
        one_NP, other_NP = tf.unstack(pairs_N2P, axis=1)
        logits_NN = tf.matmul(one_NP, other_NP, transpose_b=True) / self._temperature
        logits_NN = tf.where(is_pair_N[:, None] & is_pair_N, logits_NN, NO_LOGIT)
        if shares_text_NN is not None:
            logits_NN = tf.where(shares_text_NN, NO_LOGIT, logits_NN)
        weights_N, partners_N = tf.cast(is_pair_N, tf.float32), tf.range(tf.shape(logits_NN)[0])
        loss = num_correct = tf.constant(0.0)
        for axis in (0, 1):
            log_shares_N = tf.linalg.diag_part(tf.nn.log_softmax(logits_NN, axis))
            nearest_N = tf.argmax(logits_NN, axis, tf.int32)
            loss -= tf.reduce_sum(weights_N * log_shares_N) / 2
            num_correct += tf.reduce_sum(weights_N * tf.cast(nearest_N == partners_N, tf.float32)) / 2
        return Losses(loss, tf.stack([loss, num_correct]), tf.reduce_sum(weights_N))


def text_hashes(ids_BT: tf.Tensor, segments_BT: tf.Tensor, max_texts: int) -> tf.Tensor:
    """A 32-bit hash of each text's tokens and their order, (B, max_texts, 2) float32 of 16 bits each; 0 without a text.

    Sums of whole numbers, which are the same in any order, as on any device.
    """
    of_text_BST = segments_BT[:, None, :] == tf.range(1, max_texts + 1)[:, None]
    indices_T = tf.range(ids_BT.shape[1])
    first_BS1 = tf.reduce_min(tf.where(of_text_BST, indices_T, ids_BT.shape[1]), -1, keepdims=True)
    # multipliers of xxHash and MurmurHash3, as signed 32-bit numbers; products wrap around
    mixed_BST = tf.cast(ids_BT, tf.int32)[:, None, :] * -1640531535 + (indices_T - first_BS1) * -2048144777
    mixed_BST = tf.bitwise.bitwise_xor(mixed_BST, tf.bitwise.right_shift(mixed_BST, 15)) * -1028477379
    mixed_BST = tf.bitwise.bitwise_xor(mixed_BST, tf.bitwise.right_shift(mixed_BST, 13))
    hashes_BS = tf.reduce_sum(tf.where(of_text_BST, mixed_BST, 0), -1)
    halves = [tf.bitwise.bitwise_and(part, 0xFFFF) for part in (hashes_BS, tf.bitwise.right_shift(hashes_BS, 16))]
    return tf.cast(tf.stack(halves, -1), tf.float32)


def _shares_text(hashes_N2W: tf.Tensor) -> tf.Tensor:
    """Whether two pairs have a text in common, (N, N); no pair has with itself. `hashes_N2W` are of width 2."""
    one_NW, other_NW = tf.unstack(hashes_N2W, axis=1)
    same_NN = [
        tf.reduce_all(a_NW[:, None] == b_NW[None], -1)
        for a_NW, b_NW in ((one_NW, one_NW), (other_NW, other_NW), (one_NW, other_NW), (other_NW, one_NW))
    ]
    shares_NN = tf.reduce_any(tf.stack(same_NN), 0)
    return shares_NN & ~tf.eye(tf.shape(shares_NN)[0], dtype=tf.bool)


def collate_pairs(ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> PairBatch:
    """The batch of some rows; nothing in it is random. See `objective.Collator`."""
    del stream_S
    return PairBatch(ids_BT, segments_BT)
