"""Texts packed into rows for the encoder, so that short ones cost what they are long."""

# R rows, T tokens, S slots for texts in a row, N texts

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tokenizer.encoding.packing import RowPacker
from tokenizer.encoding.reader import TextReader

LEAST_TOKENS = 8
"""Of a text when rows are filled: shorter ones take as many."""


class TextBatch(NamedTuple):
    """Some texts in packed rows."""

    ids_RT: np.ndarray
    segments_RT: np.ndarray
    firsts_RS: np.ndarray
    """Where in its row each text begins; 0 for slots without one."""
    slots_N: np.ndarray
    """Slot of each text among the R x S."""
    owners_RT: np.ndarray
    """Number of the text, within the batch, that each token belongs to; -1 for padding."""


def slots_in_row(row_length: int) -> int:
    """Most texts that share a row; a fixed number, so that the encoder's shapes are."""
    return row_length // min(LEAST_TOKENS, row_length)


def pack_texts(sequences: list[list[int]], row_length: int) -> list[list[int]]:
    """Numbers of the texts that share each row, best fit, `slots_in_row` at most."""
    packer: RowPacker[int] = RowPacker(row_length, open_rows=len(sequences))
    least = min(LEAST_TOKENS, row_length)
    done = list(packer.add((max(least, len(sequence)), number) for number, sequence in enumerate(sequences)))
    return done + list(packer.flush())


def batch_of_rows(
    sequences: list[list[int]], rows: list[list[int]], reader: TextReader, row_length: int, num_rows: int
) -> tuple[TextBatch, np.ndarray]:
    """One batch of `rows`, filled up to `num_rows` with padding, and the numbers of its texts in the batch's order."""
    numbers = np.array([number for row in rows for number in row], np.int64)
    ids_RT = np.full((num_rows, row_length), reader.padding_id, np.int32)
    segments_RT = np.zeros((num_rows, row_length), np.int32)
    owners_RT = np.full((num_rows, row_length), -1, np.int32)
    firsts_RS = np.zeros((num_rows, slots_in_row(row_length)), np.int32)
    slots: list[int] = []
    for row, texts in enumerate(rows):
        start = 0
        for slot, number in enumerate(texts):
            end = start + len(sequences[number])
            ids_RT[row, start:end] = sequences[number]
            segments_RT[row, start:end] = slot + 1  # not read off the ids: a text may hold a first token's own
            owners_RT[row, start:end] = len(slots)
            firsts_RS[row, slot] = start
            slots.append(row * firsts_RS.shape[1] + slot)
            start = end
    return TextBatch(ids_RT, segments_RT, firsts_RS, np.array(slots, np.int32), owners_RT), numbers


def inference_batches(
    sequences: list[list[int]], reader: TextReader, row_length: int, rows_per_batch: int
) -> Iterator[tuple[TextBatch, np.ndarray]]:
    """Batches that hold every text once, all of one shape, with the numbers of the texts in each."""
    for rows in batched_lists(pack_texts(sequences, row_length), rows_per_batch):
        yield batch_of_rows(sequences, rows, reader, row_length, rows_per_batch)


def training_batches(
    sequences: list[list[int]], reader: TextReader, row_length: int, batch_size: int, seed: tuple[int, ...]
) -> Iterator[tuple[TextBatch, np.ndarray]]:
    """The batches of one epoch: `batch_size` texts each, in an order that `seed` fixes, packed within the batch.

    The number of rows is rounded up to one of few, as each makes the step compile anew.
    """
    order = np.random.default_rng(seed).permutation(len(sequences))
    for numbers in batched_lists(order.tolist(), batch_size):
        chosen = [sequences[number] for number in numbers]
        rows = pack_texts(chosen, row_length)
        batch, within = batch_of_rows(chosen, rows, reader, row_length, rounded_rows(len(rows)))
        yield batch, np.asarray(numbers)[within]


def rounded_rows(count: int) -> int:
    """`count` or at most a quarter as many again: four numbers in each doubling.

    >>> sorted({rounded_rows(count) for count in range(8, 33)})
    [8, 10, 12, 14, 16, 20, 24, 28, 32]
    """
    step = 1 << max(0, count.bit_length() - 3)
    return -(-count // step) * step


def batched_lists(items: list, size: int) -> Iterator[list]:
    """Consecutive lists of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
