"""Distillation from the base: an encoder's text vectors stay near the base's while it learns masked language modelling.

Masked language modelling alone degrades the base's text vectors, and a new vocabulary more so. The teacher is the
unchanged base. It reads the same texts, unmasked and with its own tokenizer, and a cosine loss draws the encoder's text
vectors towards the teacher's (the loss of DistilBERT: Sanh et al. 2019, arXiv 1910.01108, section 3). Its weight can
decay to 0 at the end of a run (teacher annealing: Clark et al. 2019, arXiv 1907.04829).
"""

# B rows, T tokens of a row, U tokens of the teacher's row, S texts of a row, P masked positions, M = B x P, H hidden
# K 2: the kinds of text vectors

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.model.checkpoint import Checkpoint, load_checkpoint, with_positions
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import Masker
from pretrain.objectives.objective import Losses
from pretrain.objectives.text_vectors import normalized, text_vectors
from stackbert.core.checkpoints import resolve_base
from tokenizer.encoding.reader import TextReader, load_reader

TEACHER_TOKENS = 1.5  # most tokens of the teacher for one of ours; a vocabulary of the domain saves it a fifth
MIN_TEXT_TOKENS = 2  # of a text in a row: [CLS] and one token that can be masked

Ids = npt.NDArray[np.int32]


class DistillBatch(NamedTuple):
    """A `MaskedBatch`, and the same texts in the teacher's tokens."""

    ids_BT: tf.Tensor
    segments_BT: tf.Tensor
    positions_BP: tf.Tensor
    targets_BP: tf.Tensor
    weights_BP: tf.Tensor
    teacher_ids_BU: tf.Tensor
    teacher_segments_BU: tf.Tensor
    """Numbers of the texts, as in `segments_BT`."""


class Distillation:
    """Masked language modelling plus `weight` times the distillation loss.

    A text's distillation loss counts once for each of its masked positions, so that its sums over slices of a batch add
    up as the cross entropy's do. Over the last `decay_share` of a run's steps the weight decays; what is reported is
    the loss without the weight.
    """

    metrics: tuple[str, ...] = ("loss", "accuracy", "distill_loss")
    weights: Mapping[str, tf.Variable] = MappingProxyType({})
    ignored: tuple[str, ...] = ()
    masks_tokens = True

    def __init__(self, encoder: Encoder, teacher: Encoder, weight: float | tf.Tensor, decay_share: float = 0.0) -> None:
        self._encoder, self._teacher, self._weight, self._decay_share = encoder, teacher, weight, decay_share

    def at_step(self, step: tf.Tensor, total_steps: int) -> "Distillation":
        """The objective with the weight of step number `step`, from 0, of a run of `total_steps`."""
        if not self._decay_share:
            return self
        weight = self._weight * decayed(step, total_steps, self._decay_share)
        return Distillation(self._encoder, self._teacher, weight)

    def losses(self, batch: DistillBatch) -> Losses:
        """Sums over the masked positions: cross entropy in nats, correct predictions, and distillation loss."""
        targets_M, weights_M = tf.reshape(batch.targets_BP, [-1]), tf.reshape(batch.weights_BP, [-1])
        hidden_BTH = self._encoder.hidden(batch.ids_BT, batch.segments_BT)
        distill_loss = tf.reduce_sum(weights_M * distill_losses(hidden_BTH, batch, self._teacher))
        states_BPH = tf.gather(hidden_BTH, batch.positions_BP, batch_dims=1)
        states_MH = tf.reshape(states_BPH, (-1, hidden_BTH.shape[-1]))
        loss, num_correct = self._encoder.mlm_loss(states_MH, targets_M, weights_M)
        reported_K = tf.stack([loss, num_correct, distill_loss])
        return Losses(loss + self._weight * distill_loss, reported_K, tf.reduce_sum(weights_M))


def decayed(step: tf.Tensor, total_steps: int, decay_share: float) -> tf.Tensor:
    """What the weight is multiplied by at step number `step`, from 0: 1, then linear decay to 0 after the last step.

    It decays over the last `decay_share` of all steps, as the learning rate of schedule 'wsd' does.

    >>> [round(float(decayed(tf.constant(step), 10, 0.4)), 2) for step in (0, 5, 6, 7, 8, 9, 10)]
    [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    decay_steps = math.ceil(total_steps * decay_share)
    return tf.clip_by_value(tf.cast(total_steps - step, tf.float32) / decay_steps, 0.0, 1.0)


def distill_losses(hidden_BTH: tf.Tensor, batch: DistillBatch, teacher: Encoder) -> tf.Tensor:
    """Distillation loss of the text at each masked position, (M,) float32, from 0 to 4.

    It is 1 - cosine between the encoder's and the teacher's text vector, summed over two vectors: the mean hidden state
    of the text and that of its first token. It is 0 where the teacher's row had no room for the text. `hidden_BTH` are
    the encoder's hidden states of the masked texts; only they have a gradient.
    """
    max_texts = hidden_BTH.shape[1] // MIN_TEXT_TOKENS
    vectors_KBSH = text_vectors(hidden_BTH, batch.segments_BT, max_texts)
    teacher_hidden_BUH = teacher.hidden(batch.teacher_ids_BU, batch.teacher_segments_BU)
    teacher_KBSH = tf.stop_gradient(text_vectors(teacher_hidden_BUH, batch.teacher_segments_BU, max_texts))
    losses_BS = tf.reduce_sum(1 - tf.reduce_sum(normalized(vectors_KBSH) * normalized(teacher_KBSH), -1), 0)
    losses_BS = tf.where(tf.reduce_any(teacher_KBSH[0] != 0, -1), losses_BS, 0.0)
    texts_BP = tf.maximum(tf.gather(batch.segments_BT, batch.positions_BP, batch_dims=1) - 1, 0)
    return tf.reshape(tf.gather(losses_BS, texts_BP, batch_dims=1), [-1])


@dataclass(frozen=True)
class TeacherReader:
    """Gives the texts of packed rows in the teacher's tokens.

    With another vocabulary, the texts are decoded from the rows. Unknown tokens and what a normalizer removed are lost,
    and white space is where the tokenizer splits words. For an uncased WordPiece teacher one token in a hundred differs
    from those of the original text; for a cased or byte-level one more do.
    """

    readers: tuple[TextReader, TextReader] | None
    """The rows' tokenizer and the teacher's; None where they are the same."""
    max_length: int
    """Most tokens that the teacher reads of one text."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while reading: tokenizers cache what they read, and several threads make batches."""

    def row_length(self, tokens: int) -> int:
        """U, for rows of `tokens`."""
        return tokens if self.readers is None else teacher_row_length(tokens)

    def read(self, ids_BT: Ids, segments_BT: Ids) -> tuple[Ids, Ids]:
        """The teacher's ids and segments of the rows' texts, each (B, U).

        The last text of a full row is truncated, or omitted where less than half of it would fit.
        """
        if self.readers is None:
            return ids_BT, segments_BT
        rows_reader, teacher_reader = self.readers
        bounds = [_text_bounds(segments_T) for segments_T in segments_BT]
        texts = [ids_T[start:end] for ids_T, row in zip(ids_BT, bounds, strict=True) for start, end, _ in row]
        decoded = rows_reader.tokenizer.decode_batch([text.tolist() for text in texts], skip_special_tokens=True)
        with self.lock:
            encoded = iter(teacher_reader.ids_for_classifier(decoded, self.max_length))
        shape = (len(ids_BT), self.row_length(ids_BT.shape[1]))
        teacher_ids_BU = np.full(shape, teacher_reader.padding_id, np.int32)
        teacher_segments_BU = np.zeros(shape, np.int32)
        for row, texts_of_row in enumerate(bounds):
            filled = 0
            for _, _, number in texts_of_row:
                whole = next(encoded)
                ids = whole[: shape[1] - filled]
                if 2 * len(ids) < len(whole):
                    continue
                teacher_ids_BU[row, filled : filled + len(ids)] = ids
                teacher_segments_BU[row, filled : filled + len(ids)] = number
                filled += len(ids)
        return teacher_ids_BU, teacher_segments_BU


@dataclass(frozen=True)
class DistillCollator:
    """Masks rows and adds their texts in the teacher's tokens."""

    masker: Masker
    reader: TeacherReader

    def __call__(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> DistillBatch:
        """The batch of some rows; see `objective.Collator`."""
        rows, tokens = ids_BT.shape
        # the function depends on its arguments only, so TensorFlow need not run it in order
        read = tf.numpy_function(self.reader.read, [ids_BT, segments_BT], (tf.int32, tf.int32), stateful=False)
        shape = (rows, self.reader.row_length(tokens))
        teacher_ids_BU, teacher_segments_BU = (tf.ensure_shape(array, shape) for array in read)
        return DistillBatch(*self.masker.mask(ids_BT, segments_BT, stream_S), teacher_ids_BU, teacher_segments_BU)


def load_teacher(
    base: str, rows_reader: TextReader, row_length: int, has_new_vocabulary: bool
) -> tuple[Checkpoint, TeacherReader]:
    """The unchanged base, and the reader that gives it rows of `row_length` of `rows_reader`'s tokens."""
    folder = resolve_base(base)
    checkpoint = load_checkpoint(folder)
    readers = (rows_reader, load_reader(folder)) if has_new_vocabulary else None
    reader = TeacherReader(readers, checkpoint.architecture.max_length)
    # padding counts positions too, and rows of the same vocabulary can be longer than the base reads (extend_positions)
    longest = max(reader.row_length(row_length), reader.max_length)
    return with_positions(checkpoint, longest), reader


def teacher_row_length(tokens: int) -> int:
    """Length of the teacher's row, in its own vocabulary, for a row of `tokens`; a multiple of 8.

    >>> teacher_row_length(128), teacher_row_length(90)
    (192, 136)
    """
    return math.ceil(tokens * TEACHER_TOKENS / 8) * 8


def _text_bounds(segments_T: Ids) -> list[tuple[int, int, int]]:
    """Start, end and number of each text of a row, without padding."""
    starts = np.flatnonzero(np.diff(segments_T, prepend=0)).tolist()
    ends = [*starts, len(segments_T)][1:]
    numbers = segments_T[starts].tolist()
    return [text for text in zip(starts, ends, numbers, strict=True) if text[2]]
