"""Masked language modelling (Devlin et al. 2019, arXiv 1810.04805): dynamic masking, and the loss."""

# B rows, T tokens, P most masked positions a row, M = B x P, Q = P + 1, H hidden, V vocabulary
# S the parts of a random stream

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tokenizers import decoders

from pretrain.config import REPLACED_BY_MASK, REPLACED_BY_RANDOM, PretrainConfig
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Losses
from pretrain.randomness import split, uniform, uniform_integers
from tokenizer.encoding.reader import TextReader
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE, SENTENCEPIECE_SPACE

CONTINUES, BEGINS, STANDS_ALONE = 0, 1, 2
"""Role of a token in its word: a further token, the first, or a word of its own."""
NO_KEY = -1e9  # of tokens that are not masked, below all keys


class MaskedBatch(NamedTuple):
    """One batch as the training step takes it; all shapes are static."""

    ids_BT: tf.Tensor
    """Token ids after masking."""
    segments_BT: tf.Tensor
    positions_BP: tf.Tensor
    """Masked positions, in random order; unused slots hold 0."""
    targets_BP: tf.Tensor
    """Original ids at these positions."""
    weights_BP: tf.Tensor
    """1.0 for a masked position, 0.0 for an unused slot."""


class MaskedLM:
    """Cross entropy of the original tokens at the masked positions."""

    metrics: tuple[str, ...] = ("loss", "accuracy")
    weights: Mapping[str, tf.Variable] = MappingProxyType({})
    ignored: tuple[str, ...] = ()
    masks_tokens = True

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def losses(self, batch: MaskedBatch) -> Losses:
        """Sums over the masked positions: cross entropy in nats, and correct predictions."""
        states_MH = self._encoder.hidden_at(batch.ids_BT, batch.segments_BT, batch.positions_BP)
        targets_M, weights_M = tf.reshape(batch.targets_BP, [-1]), tf.reshape(batch.weights_BP, [-1])
        loss, num_correct = self._encoder.mlm_loss(states_MH, targets_M, weights_M)
        return Losses(loss, tf.stack([loss, num_correct]), tf.reduce_sum(weights_M))


class Masker:
    """Dynamic masking: chooses `rate` of each row's ordinary tokens and replaces them 80/10/10, as BERT does.

    Special tokens and padding are never chosen. Random replacements are drawn from the whole vocabulary except its
    special tokens and `absent_ids`, which no token has. The number of slots P depends on row length and rate only, so
    that shapes are static. With `word_roles_V` (CONTINUES, BEGINS or STANDS_ALONE for each token) whole words are
    masked. A word that exceeds the row's number of masked tokens stays unmasked, so that slightly fewer than `rate` are
    masked.

    With `is_new_V`, new tokens (and words that hold any) are masked `new_rate` times as often as others, without
    changing the number of masked tokens: their uniform keys are divided by it, and the least keys are taken (sequential
    Poisson sampling: Ohlsson 1998, Journal of Official Statistics 14, 149-162).
    """

    def __init__(
        self,
        vocab_size: int,
        special_ids: tuple[int, ...],
        mask_id: int,
        rate: float,
        *,
        absent_ids: tuple[int, ...] = (),
        word_roles_V: npt.NDArray[np.int64] | None = None,
        mask_share: float = REPLACED_BY_MASK,
        random_share: float = REPLACED_BY_RANDOM,
        is_new_V: npt.NDArray[np.bool_] | None = None,
        new_rate: float = 1.0,
    ):
        self._mask_id, self._rate = mask_id, rate
        self._mask_share, self._random_share = mask_share, random_share
        self._special_ids = tf.constant(special_ids, tf.int32)
        excluded = {*special_ids, *absent_ids}
        self._ordinary_ids = tf.constant([i for i in range(vocab_size) if i not in excluded], tf.int32)
        self._word_roles_V = None if word_roles_V is None else tf.constant(word_roles_V, tf.int32)
        self._is_new_V = None if is_new_V is None else tf.constant(is_new_V)
        self._new_factor = 1 / new_rate

    def num_slots(self, row_length: int) -> int:
        """P: the expected number of masked tokens of a full row, plus one because each row rounds it at random."""
        return int(row_length * self._rate) + 1

    def mask(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> MaskedBatch:
        """Mask one batch; equal arguments give equal batches, eagerly, in tf.data and under XLA."""
        rows, tokens = ids_BT.shape
        streams = split(stream_S, 4)
        special_BT = tf.reduce_any(ids_BT[:, :, None] == self._special_ids, -1)
        maskable_BT = ~special_BT & (segments_BT > 0)
        keys_BT, counts_B = uniform((rows, tokens), streams[0]), self._counts(maskable_BT, streams[1])
        if self._word_roles_V is None:
            keys_BT = self._favour_new(keys_BT, ids_BT)
            positions_BP, is_used_BP = self._choose_tokens(tf.where(maskable_BT, keys_BT, NO_KEY), counts_B)
        else:
            words_BT = self._words(ids_BT, segments_BT, maskable_BT)
            keys_BT = self._favour_new(tf.gather(keys_BT, words_BT, batch_dims=1), ids_BT, words_BT)
            keys_BT = tf.where(maskable_BT, keys_BT, NO_KEY)
            positions_BP, is_used_BP = self._choose_words(keys_BT, words_BT, counts_B)
        weights_BP = tf.cast(is_used_BP, tf.float32)
        positions_BP = tf.where(is_used_BP, positions_BP, 0)
        targets_BP = tf.gather(ids_BT, positions_BP, batch_dims=1)
        read_BP = self._replacements(targets_BP, streams[2], streams[3])
        return MaskedBatch(
            _replace_ids(ids_BT, positions_BP, read_BP, weights_BP), segments_BT, positions_BP, targets_BP, weights_BP
        )

    def _favour_new(self, keys_BT: tf.Tensor, ids_BT: tf.Tensor, words_BT: tf.Tensor | None = None) -> tf.Tensor:
        """The keys, higher for new tokens, or for all tokens of words that hold one, (B, T)."""
        if self._is_new_V is None:
            return keys_BT
        is_new_BT = tf.gather(self._is_new_V, ids_BT)
        if words_BT is not None:
            rows, tokens = words_BT.shape
            words_BT += tf.range(rows)[:, None] * tokens
            count_N = tf.math.unsorted_segment_sum(tf.cast(is_new_BT, tf.int32), words_BT, rows * tokens)
            is_new_BT = tf.gather(count_N, words_BT) > 0
        # keys are multiples of 2^-24, so 1 - key is exact, and with one product no compiler rounds otherwise
        return -(1 - keys_BT) * tf.where(is_new_BT, self._new_factor, 1.0)

    def _choose_tokens(self, keys_BT: tf.Tensor, counts_B: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Positions of the highest keys (B, P), and which of these slots each row uses."""
        slots = self.num_slots(keys_BT.shape[1])
        return tf.math.top_k(keys_BT, slots).indices, tf.range(slots) < counts_B[:, None]

    def _choose_words(
        self, keys_BT: tf.Tensor, words_BT: tf.Tensor, counts_B: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The same for whole words, whose tokens share a key; top_k puts the first position of equal keys first."""
        slots = self.num_slots(keys_BT.shape[1])
        positions_BQ = tf.math.top_k(keys_BT, min(slots + 1, keys_BT.shape[1])).indices
        words_BQ = tf.gather(words_BT, positions_BQ, batch_dims=1)
        first_left_B1 = tf.minimum(counts_B, words_BQ.shape[1] - 1)[:, None]
        is_ordinary_B1 = tf.gather(tf.gather(keys_BT, positions_BQ, batch_dims=1), first_left_B1, batch_dims=1) > NO_KEY
        cut_B1 = tf.where(is_ordinary_B1, tf.gather(words_BQ, first_left_B1, batch_dims=1), -1)
        is_used_BP = (tf.range(slots) < counts_B[:, None]) & (words_BQ[:, :slots] != cut_B1)
        return positions_BQ[:, :slots], is_used_BP

    def _words(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, maskable_BT: tf.Tensor) -> tf.Tensor:
        """Index in its row of the word that each ordinary token belongs to, (B, T)."""
        roles_BT = tf.gather(self._word_roles_V, ids_BT)
        begins_BT = roles_BT != CONTINUES
        in_word_BT = maskable_BT & (roles_BT != STANDS_ALONE)
        after_word_BT = tf.pad(in_word_BT[:, :-1], ((0, 0), (1, 0)))
        new_text_BT = tf.pad(segments_BT[:, 1:] != segments_BT[:, :-1], ((0, 0), (1, 0)), constant_values=True)
        begins_BT = maskable_BT & (begins_BT | ~after_word_BT | new_text_BT)
        return tf.maximum(tf.cumsum(tf.cast(begins_BT, tf.int32), axis=1) - 1, 0)

    def _counts(self, maskable_BT: tf.Tensor, stream_S: tf.Tensor) -> tf.Tensor:
        """Tokens to mask in each row, (B,): the rate's share, rounded up or down at random, at least one."""
        maskable_B = tf.reduce_sum(tf.cast(maskable_BT, tf.int32), 1)
        share_B = tf.cast(maskable_B, tf.float32) * self._rate
        rounded_B = tf.cast(share_B + uniform((share_B.shape[0], 1), stream_S)[:, 0], tf.int32)
        return tf.minimum(tf.maximum(rounded_B, 1), maskable_B)

    def _replacements(self, targets_BP: tf.Tensor, choice_S: tf.Tensor, word_S: tf.Tensor) -> tf.Tensor:
        """What the encoder reads at the masked positions: [MASK], a random token or the token itself, (B, P)."""
        choice_BP = uniform(targets_BP.shape, choice_S)
        num_ordinary = self._ordinary_ids.shape[0]
        random_BP = tf.gather(self._ordinary_ids, uniform_integers(targets_BP.shape, word_S, num_ordinary))
        read_BP = tf.where(choice_BP < self._mask_share + self._random_share, random_BP, targets_BP)
        return tf.where(choice_BP < self._mask_share, self._mask_id, read_BP)


def build_masker(reader: TextReader, config: PretrainConfig, is_new_V: npt.NDArray[np.bool_] | None = None) -> Masker:
    """The configured masker, for the vocabulary of `reader`'s tokenizer; `is_new_V`: tokens to mask more often."""
    return Masker(
        reader.vocab_size,
        reader.special_ids,
        reader.mask_id,
        config.mask_rate,
        absent_ids=reader.absent_ids,
        word_roles_V=word_roles(reader) if config.whole_words else None,
        mask_share=config.mask_share,
        random_share=config.random_share,
        is_new_V=is_new_V,
        new_rate=config.new_token_rate,
    )


def word_roles(reader: TextReader) -> npt.NDArray[np.int64]:
    """CONTINUES, BEGINS or STANDS_ALONE for each token, (V,), by WordPiece's prefix or by the mark of a space.

    In a vocabulary that marks spaces, a token without a letter or digit (a comma, a line end) stands alone.
    """
    if reader.begins_word is not None:
        return np.where(reader.begins_word, BEGINS, CONTINUES)
    tokens = reader.tokens()
    if reader.space_mark == BYTE_LEVEL_SPACE:
        decoder = decoders.ByteLevel()  # some of a letter's bytes decode to U+FFFD
        tokens = [decoder.decode([token]).replace(" ", SENTENCEPIECE_SPACE, 1) for token in tokens]
    elif not reader.space_mark:
        return np.full(len(tokens), BEGINS)
    is_word = np.array([token == SENTENCEPIECE_SPACE or any(map(_is_word_letter, token)) for token in tokens])
    begins = np.array([token.startswith(SENTENCEPIECE_SPACE) for token in tokens])
    return np.where(is_word, np.where(begins, BEGINS, CONTINUES), STANDS_ALONE)


def _is_word_letter(letter: str) -> bool:
    return letter.isalnum() or letter == "\ufffd"


def _replace_ids(ids_BT: tf.Tensor, positions_BP: tf.Tensor, read_BP: tf.Tensor, weights_BP: tf.Tensor) -> tf.Tensor:
    """`ids_BT` with `read_BP` at the masked positions; a sum over slots, because scatter is slow under XLA."""
    here_BPT = (tf.range(ids_BT.shape[1]) == positions_BP[:, :, None]) & (weights_BP > 0)[:, :, None]
    change_BT = tf.reduce_sum(
        tf.where(here_BPT, (read_BP - tf.gather(ids_BT, positions_BP, batch_dims=1))[:, :, None], 0), 1
    )
    return ids_BT + change_BT
