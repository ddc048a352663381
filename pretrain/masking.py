"""Which tokens a masked language model must guess, and what it sees in their place."""

# B rows, T tokens, P most positions a row, V vocabulary

from typing import NamedTuple

import tensorflow as tf

from pretrain.randomness import split, uniform, uniform_integers

REPLACED_BY_MASK, REPLACED_BY_RANDOM = 0.8, 0.1  # Devlin et al. 2019, section 3.1; the rest stays as it is


class MaskedBatch(NamedTuple):
    """One batch as the training step takes it; all shapes are static."""

    ids_BT: tf.Tensor
    segments_BT: tf.Tensor
    positions_BP: tf.Tensor
    """Where to guess, in random order; unused places point at 0."""
    targets_BP: tf.Tensor
    weights_BP: tf.Tensor
    """1.0 for a position to guess, 0.0 for an unused place."""


class Masker:
    """Chooses, in each row, `rate` of its ordinary tokens, and replaces them as BERT does.

    Special tokens and padding are never chosen; random replacements are drawn from the whole vocabulary without its
    specials. The number of places P is fixed by row length and rate, so that shapes are static.
    """

    def __init__(self, vocab_size: int, special_ids: tuple[int, ...], mask_id: int, rate: float):
        self._mask_id = mask_id
        self._rate = rate
        self._special_ids = tf.constant(special_ids, tf.int32)
        self._ordinary_ids = tf.constant([i for i in range(vocab_size) if i not in set(special_ids)], tf.int32)

    def num_places(self, row_length: int) -> int:
        """P: one more than the expected share of a row, for the rounding."""
        return int(row_length * self._rate) + 1

    def mask(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> MaskedBatch:
        """Mask one batch; equal arguments give equal batches, eagerly, in tf.data and under XLA."""
        rows, tokens = ids_BT.shape
        places = self.num_places(tokens)
        streams = split(stream_S, 4)
        special_BT = tf.reduce_any(ids_BT[:, :, None] == self._special_ids, -1)
        maskable_BT = ~special_BT & (segments_BT > 0)
        keys_BT = tf.where(maskable_BT, uniform((rows, tokens), streams[0]), -1.0)
        positions_BP = tf.math.top_k(keys_BT, places).indices
        weights_BP = tf.cast(tf.range(places) < self._counts(maskable_BT, streams[1])[:, None], tf.float32)
        positions_BP = tf.where(weights_BP > 0, positions_BP, 0)
        targets_BP = tf.gather(ids_BT, positions_BP, batch_dims=1)
        seen_BP = self._replacements(targets_BP, streams[2], streams[3])
        return MaskedBatch(
            _placed(ids_BT, positions_BP, seen_BP, weights_BP), segments_BT, positions_BP, targets_BP, weights_BP
        )

    def _counts(self, maskable_BT, stream_S):
        """How many tokens of each row to guess: the rate's share, rounded up or down at random, at least one."""
        maskable_B = tf.reduce_sum(tf.cast(maskable_BT, tf.int32), 1)
        share_B = tf.cast(maskable_B, tf.float32) * self._rate
        rounded_B = tf.cast(share_B + uniform((share_B.shape[0], 1), stream_S)[:, 0], tf.int32)
        return tf.minimum(tf.maximum(rounded_B, 1), maskable_B)

    def _replacements(self, targets_BP, choice_S, word_S):
        choice_BP = uniform(targets_BP.shape, choice_S)
        last = self._ordinary_ids.shape[0]
        random_BP = tf.gather(self._ordinary_ids, uniform_integers(targets_BP.shape, word_S, last))
        seen_BP = tf.where(choice_BP < REPLACED_BY_MASK + REPLACED_BY_RANDOM, random_BP, targets_BP)
        return tf.where(choice_BP < REPLACED_BY_MASK, self._mask_id, seen_BP)


def _placed(ids_BT, positions_BP, seen_BP, weights_BP):
    """`ids_BT` with `seen_BP` at the positions in use; a sum over places, as scatter is slow under XLA."""
    here_BPT = (tf.range(ids_BT.shape[1]) == positions_BP[:, :, None]) & (weights_BP > 0)[:, :, None]
    change_BT = tf.reduce_sum(
        tf.where(here_BPT, (seen_BP - tf.gather(ids_BT, positions_BP, batch_dims=1))[:, :, None], 0), 1
    )
    return ids_BT + change_BT
