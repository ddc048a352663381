"""Training batches as functions of (seed, epoch, step): any worker can compute any slice of any step."""

# R rows, T tokens, S text slots per row, N texts of a slice, L labels

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from finetune.classifier.phases import EncodedSplit
from finetune.config import FinetuneConfig
from pretrain.model.text_batches import TextBatch, batch_of_rows, pack_texts, rounded_rows
from pretrain.randomness import stream


class LabelledBatch(NamedTuple):
    """A slice of a step's texts, packed into rows by itself, with what the loss reads; arrays or tensors."""

    ids_RT: Any
    segments_RT: Any
    firsts_RS: Any
    slots_N: Any
    owners_RT: Any
    targets_NL: Any
    weights_N: Any
    """float32; 0 for texts that are padding."""
    stream_3: Any
    """Random stream of the slice's texts; see `pretrain.randomness.stream`."""

    @property
    def texts(self) -> TextBatch:
        """The texts without their targets."""
        return TextBatch(*self[: len(TextBatch._fields)])


class Step(NamedTuple):
    """The batch of one step, cut into slices that are packed into the same number of rows."""

    num_rows: int
    """Rows of each slice."""
    slice_of: Callable[[int], LabelledBatch]
    """Slice n of the batch: its n-th texts, in their order."""


class EpochBatches:
    """The steps of one epoch, which visits every text once; the last batch is padded with texts of weight 0.

    A batch is cut into `num_slices` slices of equally many texts, whose order and random numbers do not depend on how
    it is cut. With `num_rows`, all slices have so many rows; otherwise as few as the step needs, rounded up to one of
    few sizes, as the training step is compiled for each.
    """

    def __init__(
        self,
        train: EncodedSplit,
        padding_id: int,
        config: FinetuneConfig,
        seed: int,
        epoch: int,
        num_slices: int = 1,
        num_rows: int = 0,
    ) -> None:
        self._train, self._padding_id, self._config = train, padding_id, config
        self._seed, self._epoch, self._num_rows = seed, epoch, num_rows
        self._slices, self._slice_texts = num_slices, config.batch_size // num_slices
        self._order_N = np.random.default_rng((seed, epoch)).permutation(len(train.sequences))

    def __len__(self) -> int:
        return steps_in_epoch(len(self._order_N), self._config.batch_size)

    def at(self, step: int) -> Step:
        """Step number `step` of the epoch, from 0."""
        of_slices = [self._indices(step, number) for number in range(self._slices)]
        rows = [self._rows(indices_N) for indices_N in of_slices]
        num_rows = self._num_rows or rounded_rows(max(map(len, rows)))
        return Step(num_rows, lambda number: self._slice(step, number, of_slices[number], rows[number], num_rows))

    def most_rows(self) -> int:
        """The most rows that a slice of any step of the epoch needs."""
        steps = [(step, number) for step in range(len(self)) for number in range(self._slices)]
        return max(len(self._rows(self._indices(*each))) for each in steps)

    def _indices(self, step: int, number: int) -> npt.NDArray[np.int64]:
        """Indices of the texts of a slice; fewer than its share, or none, at the end of an epoch."""
        first = step * self._config.batch_size + number * self._slice_texts
        end = min(first + self._slice_texts, (step + 1) * self._config.batch_size)
        return self._order_N[first:end]

    def _rows(self, indices_N: npt.NDArray[np.int64]) -> list[list[int]]:
        return pack_texts([self._train.sequences[index] for index in indices_N], self._config.max_length)

    def _slice(
        self, step: int, number: int, indices_N: npt.NDArray[np.int64], rows: list[list[int]], num_rows: int
    ) -> LabelledBatch:
        sequences = [self._train.sequences[index] for index in indices_N]
        batch, _ = batch_of_rows(sequences, rows, self._padding_id, self._config.max_length, num_rows)
        padding = (0, self._slice_texts - len(indices_N))
        texts = batch._replace(slots_N=np.pad(batch.slots_N, padding))
        targets_NL = np.pad(self._train.targets_NL[indices_N], (padding, (0, 0)))
        weights_N = np.pad(np.ones(len(indices_N), np.float32), padding)
        step_of_run = (self._epoch - 1) * len(self) + step
        stream_3 = stream(self._seed, "dropout", step_of_run, number * self._slice_texts)
        return LabelledBatch(*texts, targets_NL, weights_N, stream_3)


def steps_in_epoch(num_texts: int, batch_size: int) -> int:
    """Steps in which every text is visited once.

    >>> steps_in_epoch(65, 32)
    3
    """
    return -(-num_texts // batch_size)
