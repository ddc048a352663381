"""Which tokens a masked language model must guess, and what it sees in their place."""

# B rows, T tokens, P most positions a row, Q = P + 1, V vocabulary, S parts of a stream

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tokenizers import decoders

from pretrain.config import REPLACED_BY_MASK, REPLACED_BY_RANDOM, PretrainConfig
from pretrain.randomness import split, uniform, uniform_integers
from tokenizer.encoding.reader import TextReader
from tokenizer.encoding.token_notation import BYTE_LEVEL_SPACE, SENTENCEPIECE_SPACE

CONTINUES, BEGINS, STANDS_ALONE = 0, 1, 2
"""Tokens in a word: one more of it, its first, or all of it."""


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
    specials. The number of places P is fixed by row length and rate, so that shapes are static. With `word_parts_V`
    (CONTINUES, BEGINS or STANDS_ALONE), whole words are chosen. A word that the row's count would cut is left alone, so
    that a little less than `rate` is chosen.
    """

    def __init__(
        self,
        vocab_size: int,
        special_ids: tuple[int, ...],
        mask_id: int,
        rate: float,
        *,
        word_parts_V: np.ndarray | None = None,
        mask_share: float = REPLACED_BY_MASK,
        random_share: float = REPLACED_BY_RANDOM,
    ):
        self._mask_id, self._rate = mask_id, rate
        self._mask_share, self._random_share = mask_share, random_share
        self._special_ids = tf.constant(special_ids, tf.int32)
        self._ordinary_ids = tf.constant([i for i in range(vocab_size) if i not in set(special_ids)], tf.int32)
        self._word_parts_V = None if word_parts_V is None else tf.constant(word_parts_V, tf.int32)

    def num_places(self, row_length: int) -> int:
        """P: one more than the expected share of a row, for the rounding."""
        return int(row_length * self._rate) + 1

    def mask(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> MaskedBatch:
        """Mask one batch; equal arguments give equal batches, eagerly, in tf.data and under XLA."""
        rows, tokens = ids_BT.shape
        streams = split(stream_S, 4)
        special_BT = tf.reduce_any(ids_BT[:, :, None] == self._special_ids, -1)
        maskable_BT = ~special_BT & (segments_BT > 0)
        keys_BT, counts_B = uniform((rows, tokens), streams[0]), self._counts(maskable_BT, streams[1])
        if self._word_parts_V is None:
            positions_BP, is_used_BP = self._chosen(tf.where(maskable_BT, keys_BT, -1.0), counts_B)
        else:
            words_BT = self._words(ids_BT, segments_BT, maskable_BT)
            keys_BT = tf.where(maskable_BT, tf.gather(keys_BT, words_BT, batch_dims=1), -1.0)
            positions_BP, is_used_BP = self._chosen_words(keys_BT, words_BT, counts_B)
        weights_BP = tf.cast(is_used_BP, tf.float32)
        positions_BP = tf.where(is_used_BP, positions_BP, 0)
        targets_BP = tf.gather(ids_BT, positions_BP, batch_dims=1)
        seen_BP = self._replacements(targets_BP, streams[2], streams[3])
        return MaskedBatch(
            _placed(ids_BT, positions_BP, seen_BP, weights_BP), segments_BT, positions_BP, targets_BP, weights_BP
        )

    def _chosen(self, keys_BT, counts_B):
        """The positions of the highest keys, and which of them the row's count takes."""
        places = self.num_places(keys_BT.shape[1])
        return tf.math.top_k(keys_BT, places).indices, tf.range(places) < counts_B[:, None]

    def _chosen_words(self, keys_BT, words_BT, counts_B):
        """The same for words, whose tokens share a key: of equal keys the first positions come first."""
        places = self.num_places(keys_BT.shape[1])
        positions_BQ = tf.math.top_k(keys_BT, min(places + 1, keys_BT.shape[1])).indices
        words_BQ = tf.gather(words_BT, positions_BQ, batch_dims=1)
        first_left_B1 = tf.minimum(counts_B, words_BQ.shape[1] - 1)[:, None]
        is_ordinary_B1 = tf.gather(tf.gather(keys_BT, positions_BQ, batch_dims=1), first_left_B1, batch_dims=1) >= 0
        cut_B1 = tf.where(is_ordinary_B1, tf.gather(words_BQ, first_left_B1, batch_dims=1), -1)
        is_used_BP = (tf.range(places) < counts_B[:, None]) & (words_BQ[:, :places] != cut_B1)
        return positions_BQ[:, :places], is_used_BP

    def _words(self, ids_BT, segments_BT, maskable_BT):
        """The number, in its row, of the word that each ordinary token belongs to, from 0."""
        parts_BT = tf.gather(self._word_parts_V, ids_BT)
        begins_BT = parts_BT != CONTINUES
        goes_on_BT = maskable_BT & (parts_BT != STANDS_ALONE)
        before_BT = tf.pad(goes_on_BT[:, :-1], ((0, 0), (1, 0)))
        other_text_BT = tf.pad(segments_BT[:, 1:] != segments_BT[:, :-1], ((0, 0), (1, 0)), constant_values=True)
        begins_BT = maskable_BT & (begins_BT | ~before_BT | other_text_BT)
        return tf.maximum(tf.cumsum(tf.cast(begins_BT, tf.int32), axis=1) - 1, 0)

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
        seen_BP = tf.where(choice_BP < self._mask_share + self._random_share, random_BP, targets_BP)
        return tf.where(choice_BP < self._mask_share, self._mask_id, seen_BP)


def masker_of(reader: TextReader, config: PretrainConfig) -> Masker:
    """The masker that a run is configured to use, for the vocabulary of its tokenizer."""
    return Masker(
        reader.vocab_size,
        reader.special_ids,
        reader.mask_id,
        config.mask_rate,
        word_parts_V=word_parts(reader) if config.whole_words else None,
        mask_share=config.mask_share,
        random_share=config.random_share,
    )


def word_parts(reader: TextReader) -> np.ndarray:
    """Which part of a word each token is, (V,) int32: by WordPiece's prefix, or by the mark of a space.

    Where space is marked, a token without a letter or digit (a comma, the end of a line) stands alone.
    """
    if reader.begins_word is not None:
        return np.where(reader.begins_word, BEGINS, CONTINUES)
    tokens = reader.tokens()
    if reader.space_mark == BYTE_LEVEL_SPACE:
        read = decoders.ByteLevel()  # a part of a letter's bytes is read as U+FFFD
        tokens = [read.decode([token]).replace(" ", SENTENCEPIECE_SPACE, 1) for token in tokens]
    elif not reader.space_mark:
        return np.full(len(tokens), BEGINS)
    is_word = np.array([token == SENTENCEPIECE_SPACE or any(map(_is_word_letter, token)) for token in tokens])
    begins = np.array([token.startswith(SENTENCEPIECE_SPACE) for token in tokens])
    return np.where(is_word, np.where(begins, BEGINS, CONTINUES), STANDS_ALONE)


def _is_word_letter(letter: str) -> bool:
    return letter.isalnum() or letter == "\ufffd"


def _placed(ids_BT, positions_BP, seen_BP, weights_BP):
    """`ids_BT` with `seen_BP` at the positions in use; a sum over places, as scatter is slow under XLA."""
    here_BPT = (tf.range(ids_BT.shape[1]) == positions_BP[:, :, None]) & (weights_BP > 0)[:, :, None]
    change_BT = tf.reduce_sum(
        tf.where(here_BPT, (seen_BP - tf.gather(ids_BT, positions_BP, batch_dims=1))[:, :, None], 0), 1
    )
    return ids_BT + change_BT
