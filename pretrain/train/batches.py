"""Batches of packed rows, addressed by (seed, step, row): any part of any step can be made at once, by anyone."""

# B rows of a batch, T tokens, E epochs

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from pretrain.objectives.distillation import BaseReading, KeptBatch
from pretrain.objectives.masked_lm import MaskedBatch, Masker
from pretrain.randomness import GENERATOR, stream
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.packing import segments_of


class TrainingBatches:
    """The batches of a run: each epoch visits every row once, in an order of its own.

    With a `base_reading` they are KeptBatches.
    """

    def __init__(
        self, rows: PackedRows, masker: Masker, batch_rows: int, seed: int, base_reading: BaseReading | None = None
    ):
        self._rows, self._masker, self._batch_rows, self._seed = rows, masker, batch_rows, seed
        self._base_reading = base_reading

    def from_step(self, start: int, end: int) -> Iterator[MaskedBatch | KeptBatch]:
        """Yield the whole batches of steps `start`, ..., `end` - 1, made ahead by a background thread."""
        return iter(self.dataset(start, end, parts=1, own=range(1)))

    def dataset(self, start: int, end: int, parts: int, own: range) -> tf.data.Dataset:
        """Of the batches of steps `start`, ..., `end` - 1, each cut into `parts`: the parts numbered `own`, in turn."""
        part_rows = self._batch_rows // parts
        places = tf.data.Dataset.range(start * len(own), end * len(own))

        def part(place: tf.Tensor) -> MaskedBatch | KeptBatch:
            number = own.start + place % len(own)
            return self.at_step(place // len(own), number * part_rows, part_rows)

        return places.map(part, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)

    def at_step(
        self, step: tf.Tensor, first_row: int | tf.Tensor = 0, num_rows: int | None = None
    ) -> MaskedBatch | KeptBatch:
        """The masked batch of one step, or `num_rows` of its rows from `first_row` on."""
        num_rows = num_rows or self._batch_rows
        numbers_B = self.row_numbers(step, first_row, num_rows)
        arrays = 4 if self._base_reading else 2
        loaded = tf.numpy_function(self._load, [numbers_B], (tf.int32,) * arrays, stateful=False)
        shape = (num_rows, self._rows.ids.shape[1])
        ids_BT, segments_BT = (tf.ensure_shape(array, shape) for array in loaded[:2])
        masked = self._masker.mask(ids_BT, segments_BT, stream(self._seed, "mask", step, first_row))
        return self._base_reading.add_to(masked, *loaded[2:]) if self._base_reading else masked

    def row_numbers(self, step: tf.Tensor, first_row: int | tf.Tensor = 0, num_rows: int | None = None) -> tf.Tensor:
        """Rows that a step reads, (B,) int64: the n-th of a pseudo-random permutation that changes with each epoch."""
        total, num_rows = len(self._rows.ids), num_rows or self._batch_rows
        first = tf.cast(step, tf.int64) * self._batch_rows + tf.cast(first_row, tf.int64)
        place_B = first + tf.range(num_rows, dtype=tf.int64)
        epoch_B = place_B // total
        key_2 = stream(self._seed, "order")[:2]

        def shuffled(later: int) -> tf.Tensor:
            epoch = tf.cast(epoch_B[0] + later, tf.int32)
            seed_2 = tf.random.experimental.stateless_fold_in(key_2, epoch, alg=GENERATOR)
            return tf.random.experimental.index_shuffle(place_B % total, seed_2, total - 1)

        most_epochs = num_rows // total + 2  # that the rows can be of
        each_EB = tf.stack([shuffled(later) for later in range(most_epochs)])
        return tf.gather(tf.transpose(each_EB), epoch_B - epoch_B[0], batch_dims=1)

    def _load(self, numbers_B: np.ndarray) -> tuple[np.ndarray, ...]:
        loaded = load_batch(self._rows, numbers_B)
        return (*loaded, *self._base_reading.read(*loaded)) if self._base_reading else loaded


def held_out_batches(
    rows: PackedRows, masker: Masker, batch_rows: int, most_rows: int, base_reading: BaseReading | None = None
) -> list[MaskedBatch | KeptBatch]:
    """The batches that the held-out loss is measured on: rows from all over the split, in all runs with the same masks.

    With `most_rows` at least the number of rows, vocabularies are measured on the same text.
    """
    chosen = np.unique(np.linspace(0, len(rows.ids) - 1, min(len(rows.ids), most_rows)).round().astype(np.int64))
    total = len(chosen)
    batches: list[MaskedBatch | KeptBatch] = []
    for start in range(0, total, batch_rows):
        # the last batch is filled up with padding: nothing to guess there, and no new shape to compile
        numbers = chosen[start : start + batch_rows]
        ids_BT, segments_BT = load_batch(rows, numbers)
        fill = ((0, batch_rows - len(numbers)), (0, 0))
        ids_BT = np.pad(ids_BT, fill, constant_values=rows.padding_id)
        segments_BT = np.pad(segments_BT, fill)
        stream_S = stream(0, "held-out mask", first_row=start)
        masked = masker.mask(tf.constant(ids_BT), tf.constant(segments_BT), stream_S)
        if base_reading:
            read = map(tf.constant, base_reading.read(ids_BT, segments_BT))
            batches.append(base_reading.add_to(masked, *read))
        else:
            batches.append(masked)
    return batches


def load_batch(rows: PackedRows, numbers_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and segments, each (B, T) int32."""
    ids_BT = np.asarray(rows.ids[numbers_B]).astype(np.int32)
    return ids_BT, segments_of(ids_BT, rows.first_id, rows.padding_id)
