"""Batches of packed rows as functions of (seed, step, row): any worker can compute any slice of any step."""

# B rows of a batch, T tokens, E epochs, M pairs of a text and its target

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.objectives.objective import Batch, Collator
from pretrain.randomness import GENERATOR, stream
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.packing import segments_of

VALIDATION_STREAM = "held-out mask"  # the name seeds the masks: another one would change every validation loss

Ids = npt.NDArray[np.int32]


class TrainingBatches:
    """The batches of a run, made by `collator`: each epoch visits every row once, in an order of its own."""

    def __init__(self, rows: PackedRows, collator: Collator, batch_rows: int, seed: int) -> None:
        self._rows, self._collator, self._batch_rows, self._seed = rows, collator, batch_rows, seed

    def from_step(self, start: int, end: int) -> Iterator[Batch]:
        """Yield the whole batches of steps `start`, ..., `end` - 1; a background thread makes them ahead of use."""
        return iter(self.dataset(start, end, num_slices=1, own=range(1)))

    def dataset(self, start: int, end: int, num_slices: int, own: range) -> tf.data.Dataset:
        """Slices number `own` of the batches of steps `start`, ..., `end` - 1, each cut into `num_slices`, in order."""
        slice_rows = self._batch_rows // num_slices
        indices = tf.data.Dataset.range(start * len(own), end * len(own))

        def make_slice(index: tf.Tensor) -> Batch:
            number = own.start + index % len(own)
            return self.at_step(index // len(own), number * slice_rows, slice_rows)

        return indices.map(make_slice, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)

    def at_step(self, step: tf.Tensor, first_row: int | tf.Tensor = 0, num_rows: int | None = None) -> Batch:
        """The batch of one step, or `num_rows` of its rows from `first_row` on."""
        num_rows = num_rows or self._batch_rows
        numbers_B = self.row_numbers(step, first_row, num_rows)
        widths = row_widths(self._rows)
        loaded = tf.numpy_function(self._load, [numbers_B], (tf.int32,) * len(widths), stateful=False)
        tensors = [tf.ensure_shape(array, (num_rows, width)) for array, width in zip(loaded, widths, strict=True)]
        return self._collator(*tensors, stream(self._seed, "mask", step, first_row))

    def row_numbers(self, step: tf.Tensor, first_row: int | tf.Tensor = 0, num_rows: int | None = None) -> tf.Tensor:
        """Rows that a step reads, (B,) int64: the next ones of a pseudo-random permutation that each epoch changes."""
        total, num_rows = len(self._rows.ids), num_rows or self._batch_rows
        first = tf.cast(step, tf.int64) * self._batch_rows + tf.cast(first_row, tf.int64)
        index_B = first + tf.range(num_rows, dtype=tf.int64)
        epoch_B = index_B // total
        key_2 = stream(self._seed, "order")[:2]

        def shuffled(later: int) -> tf.Tensor:
            epoch = tf.cast(epoch_B[0] + later, tf.int32)
            seed_2 = tf.random.experimental.stateless_fold_in(key_2, epoch, alg=GENERATOR)
            return tf.random.experimental.index_shuffle(index_B % total, seed_2, total - 1)

        max_epochs = num_rows // total + 2  # that the rows can belong to
        each_BE = tf.stack([shuffled(later) for later in range(max_epochs)], axis=1)
        return tf.gather(each_BE, epoch_B - epoch_B[0], batch_dims=1)

    def _load(self, numbers_B: npt.NDArray[np.int64]) -> tuple[Ids, ...]:
        return load_batch(self._rows, numbers_B)


def validation_batches(rows: PackedRows, collator: Collator, batch_rows: int, max_rows: int) -> list[Batch]:
    """Batches for the validation loss: at most `max_rows` rows, evenly spread, with the same masks in all runs.

    With all rows, every vocabulary is measured on the same text.
    """
    chosen = np.unique(np.linspace(0, len(rows.ids) - 1, min(len(rows.ids), max_rows)).round().astype(np.int64))
    batches: list[Batch] = []
    for start in range(0, len(chosen), batch_rows):
        # padding fills up the last batch: it has no masked positions, and the batch no new shape to compile
        numbers = chosen[start : start + batch_rows]
        ids_BT, *others = load_batch(rows, numbers)
        fill = ((0, batch_rows - len(numbers)), (0, 0))
        arrays = [np.pad(ids_BT, fill, constant_values=rows.padding_id), *(np.pad(array, fill) for array in others)]
        stream_S = stream(0, VALIDATION_STREAM, first_row=start)
        batches.append(collator(*map(tf.constant, arrays), stream_S))
    return batches


def load_batch(rows: PackedRows, numbers_B: npt.NDArray[np.int64]) -> tuple[Ids, ...]:
    """Token ids and segments, each (B, T); then texts and targets, each (B, M), where rows have targets."""
    ids_BT = np.asarray(rows.ids[numbers_B]).astype(np.int32)
    targets = rows.targets.load(numbers_B) if rows.targets else ()
    return ids_BT, segments_of(ids_BT, rows.first_id, rows.padding_id), *targets


def row_widths(rows: PackedRows) -> tuple[int, ...]:
    """Widths of the arrays that `load_batch` returns."""
    pairs = (rows.targets.max_pairs,) * 2 if rows.targets else ()
    return (rows.ids.shape[1],) * 2 + pairs
