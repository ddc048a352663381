"""Keeps an encoder's vectors of whole texts near its base's while it learns to guess tokens.

Guessing masked tokens undoes what a base has learnt about whole texts, and a new vocabulary disturbs it. So the base
as it was reads the same texts, unmasked and with its own tokenizer, and the encoder's vectors are drawn to point where
the base's do: the cosine loss of DistilBERT (Sanh et al. 2019, arXiv 1910.01108, section 3), on text vectors.
"""

# B rows, T tokens, U tokens of the base, S texts of a row, P positions, M = B x P, H hidden, K 2: the kinds of vectors

import math
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pretrain.model.checkpoint import Checkpoint, load_checkpoint, with_positions
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedBatch
from stackbert.core.checkpoints import resolve_base
from tokenizer.encoding.reader import TextReader, load_reader

BASE_ROOM = 1.5  # tokens of the base for one of ours; a vocabulary of the domain's saves it a fifth
LEAST_TOKENS = 2  # of a text in a row: [CLS], and one to guess
SMALLEST_SQUARE = 1e-12  # of a vector's length; 0 where a text is not there


class KeptBatch(NamedTuple):
    """A MaskedBatch, and the same texts as the base reads them."""

    ids_BT: tf.Tensor
    segments_BT: tf.Tensor
    positions_BP: tf.Tensor
    targets_BP: tf.Tensor
    weights_BP: tf.Tensor
    base_ids_BU: tf.Tensor
    base_segments_BU: tf.Tensor
    """Numbers of the texts, as in `segments_BT`."""


@dataclass(frozen=True)
class BaseReading:
    """How the base reads the texts of packed rows; without `readers` the rows are in its own tokens.

    With another vocabulary a text is what its tokens spell. Unknown tokens are gone from it, as is what a normalizer
    took away, and white space is where the tokenizer parts words: an uncased WordPiece base reads what it would read of
    the text itself but for one token in a hundred, a cased or byte-level one less exactly.
    """

    readers: tuple[TextReader, TextReader] | None
    """The rows', and the base's."""
    most_tokens: int
    """That the base reads of one text."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Readers remember what they read; batches are made by several threads."""

    def row_length(self, tokens: int) -> int:
        """U, for rows of `tokens`."""
        return tokens if self.readers is None else teacher_row_length(tokens)

    def read(self, ids_BT: np.ndarray, segments_BT: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The base's ids and segments of the rows' texts, each (B, U) int32.

        The last text of a full row is cut, or left out where less than half of it has room.
        """
        if self.readers is None:
            return ids_BT, segments_BT
        rows_reader, base_reader = self.readers
        bounds = [_texts_of(segments_T) for segments_T in segments_BT]
        texts = [ids_T[start:end] for ids_T, row in zip(ids_BT, bounds, strict=True) for start, end, _ in row]
        spelled = rows_reader.tokenizer.decode_batch([text.tolist() for text in texts], skip_special_tokens=True)
        with self.lock:
            read = iter(base_reader.ids_for_classifier(spelled, self.most_tokens))
        shape = (len(ids_BT), self.row_length(ids_BT.shape[1]))
        base_ids_BU, base_segments_BU = np.full(shape, base_reader.padding_id, np.int32), np.zeros(shape, np.int32)
        for row, texts_of_row in enumerate(bounds):
            filled = 0
            for _, _, number in texts_of_row:
                whole = next(read)
                ids = whole[: shape[1] - filled]
                if 2 * len(ids) < len(whole):
                    continue
                base_ids_BU[row, filled : filled + len(ids)] = ids
                base_segments_BU[row, filled : filled + len(ids)] = number
                filled += len(ids)
        return base_ids_BU, base_segments_BU

    def add_to(self, batch: MaskedBatch, base_ids_BU: tf.Tensor, base_segments_BU: tf.Tensor) -> KeptBatch:
        """The masked batch with what `read` gave for its rows."""
        rows, tokens = batch.ids_BT.shape
        shape = (rows, self.row_length(tokens))
        return KeptBatch(*batch, tf.ensure_shape(base_ids_BU, shape), tf.ensure_shape(base_segments_BU, shape))


def teacher_row_length(tokens: int) -> int:
    """Tokens of the base in a row for one of `tokens` in another vocabulary, in multiples of 8.

    >>> teacher_row_length(128), teacher_row_length(90)
    (192, 136)
    """
    return math.ceil(tokens * BASE_ROOM / 8) * 8


def base_to_keep(
    base: str, rows_reader: TextReader, row_length: int, has_new_vocabulary: bool
) -> tuple[Checkpoint, BaseReading]:
    """The base as it is, and how it reads rows of `row_length` of `rows_reader`'s tokens."""
    folder = resolve_base(base)
    checkpoint = load_checkpoint(folder)
    readers = (rows_reader, load_reader(folder)) if has_new_vocabulary else None
    reading = BaseReading(readers, checkpoint.architecture.max_length)
    # padding counts positions too, and rows of the same vocabulary may be longer than the base reads (extend_positions)
    longest = max(reading.row_length(row_length), reading.most_tokens)
    return with_positions(checkpoint, longest), reading


def distances_at(hidden_BTH: tf.Tensor, batch: KeptBatch, base: Encoder) -> tf.Tensor:
    """How far the text of each position to guess is from the base's vectors of it, (M,) float32, from 0 to 4.

    The sum over two vectors of a text, the mean of its states and its first token's, of 1 - cosine; 0 where the base's
    row had no room for the text. `hidden_BTH` are the encoder's states of the batch's masked texts. Gradients flow into
    them alone.
    """
    most_texts = hidden_BTH.shape[1] // LEAST_TOKENS
    vectors_KBSH = text_vectors(hidden_BTH, batch.segments_BT, most_texts)
    base_hidden_BUH = base.hidden(batch.base_ids_BU, batch.base_segments_BU)
    base_vectors_KBSH = tf.stop_gradient(text_vectors(base_hidden_BUH, batch.base_segments_BU, most_texts))
    distances_BS = tf.reduce_sum(1 - tf.reduce_sum(_unit(vectors_KBSH) * _unit(base_vectors_KBSH), -1), 0)
    distances_BS = tf.where(tf.reduce_any(base_vectors_KBSH[0] != 0, -1), distances_BS, 0.0)
    texts_BP = tf.maximum(tf.gather(batch.segments_BT, batch.positions_BP, batch_dims=1) - 1, 0)
    return tf.reshape(tf.gather(distances_BS, texts_BP, batch_dims=1), [-1])


def text_vectors(hidden_BTH: tf.Tensor, segments_BT: tf.Tensor, most_texts: int) -> tf.Tensor:
    """The mean of each text's states and its first token's, (2, B, S, H) float32; 0 where there is no text."""
    hidden_BTH = tf.cast(hidden_BTH, tf.float32)
    begins_BT = tf.pad(segments_BT[:, 1:] != segments_BT[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    of_text_BST = tf.cast(segments_BT[:, None, :] == tf.range(1, most_texts + 1)[:, None], tf.float32)
    counts_BS1 = tf.reduce_sum(of_text_BST, -1, keepdims=True)
    means_BSH = tf.matmul(of_text_BST / tf.maximum(counts_BS1, 1.0), hidden_BTH)
    first_BSH = tf.matmul(of_text_BST * tf.cast(begins_BT, tf.float32)[:, None, :], hidden_BTH)
    return tf.stack([means_BSH, first_BSH])


def _texts_of(segments_T: np.ndarray) -> list[tuple[int, int, int]]:
    """Where each text of a row begins and ends, and its number; padding is left out."""
    starts = np.flatnonzero(np.diff(segments_T, prepend=0)).tolist()
    ends = [*starts, len(segments_T)][1:]
    numbers = segments_T[starts].tolist()
    return [text for text in zip(starts, ends, numbers, strict=True) if text[2]]


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    return vectors * tf.math.rsqrt(tf.maximum(tf.reduce_sum(vectors**2, -1, keepdims=True), SMALLEST_SQUARE))
