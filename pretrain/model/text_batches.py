"""Batches of texts packed into rows of a fixed length, which wastes little computation on padding."""

# R rows, T tokens, S text slots per row, N texts

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from tokenizer.encoding.packing import RowPacker

Item = TypeVar("Item")
MIN_TEXT_TOKENS = 8
"""Shorter texts take up this many tokens when rows are packed; it bounds the number of texts per row."""


class TextBatch(NamedTuple):
    """Texts packed into rows; int32 arrays or tensors."""

    ids_RT: Any
    segments_RT: Any
    """Number of the text within its row, from 1; 0 for padding."""
    firsts_RS: Any
    """Index in the row of each text's first token; 0 for unused slots."""
    slots_N: Any
    """Index of each text's slot among the R x S slots; 0 for texts that are padding."""
    owners_RT: Any
    """Index in the batch of the text that each token belongs to; -1 for padding."""


def slots_in_row(row_length: int) -> int:
    """Maximum number of texts per row; fixed, so that the encoder's input shapes are."""
    return row_length // min(MIN_TEXT_TOKENS, row_length)


def pack_texts(sequences: list[list[int]], row_length: int) -> list[list[int]]:
    """Indices of the texts of each row, packed by best fit, at most `slots_in_row` per row."""
    packer: RowPacker[int] = RowPacker(row_length, open_rows=len(sequences))
    least = min(MIN_TEXT_TOKENS, row_length)
    full = list(packer.add((max(least, len(sequence)), index) for index, sequence in enumerate(sequences)))
    return full + list(packer.flush())


def batch_of_rows(
    sequences: list[list[int]], rows: list[list[int]], padding_id: int, row_length: int, num_rows: int
) -> tuple[TextBatch, npt.NDArray[np.int64]]:
    """A batch of `rows`, padded to `num_rows` rows, and the ascending indices of its texts, which are in that order."""
    indices = sorted(index for row in rows for index in row)
    number_of = {index: number for number, index in enumerate(indices)}
    ids_RT = np.full((num_rows, row_length), padding_id, np.int32)
    segments_RT = np.zeros((num_rows, row_length), np.int32)
    owners_RT = np.full((num_rows, row_length), -1, np.int32)
    firsts_RS = np.zeros((num_rows, slots_in_row(row_length)), np.int32)
    slots_N = np.zeros(len(indices), np.int32)
    for row, texts in enumerate(rows):
        start = 0
        for slot, index in enumerate(texts):
            end = start + len(sequences[index])
            ids_RT[row, start:end] = sequences[index]
            segments_RT[row, start:end] = slot + 1  # not derived from the ids: a text may contain the first token's id
            owners_RT[row, start:end] = number_of[index]
            firsts_RS[row, slot] = start
            slots_N[number_of[index]] = row * firsts_RS.shape[1] + slot
            start = end
    return TextBatch(ids_RT, segments_RT, firsts_RS, slots_N, owners_RT), np.array(indices, np.int64)


def inference_batches(
    sequences: list[list[int]], padding_id: int, row_length: int, rows_per_batch: int
) -> Iterator[tuple[TextBatch, npt.NDArray[np.int64]]]:
    """Batches of `rows_per_batch` rows that contain every text once, each with the indices of its texts."""
    for rows in batched_lists(pack_texts(sequences, row_length), rows_per_batch):
        yield batch_of_rows(sequences, rows, padding_id, row_length, rows_per_batch)


def sized_batches(
    sequences: list[list[int]], padding_id: int, row_length: int, row_sizes: Sequence[int]
) -> Iterator[tuple[TextBatch, npt.NDArray[np.int64]]]:
    """Like `inference_batches`, in batches of `row_sizes` rows, which descend: the largest that the texts fill.

    With 1 among the sizes no row is padding, and few shapes need to be compiled.
    """
    rows = pack_texts(sequences, row_length)
    while rows:
        size = next((size for size in row_sizes if size <= len(rows)), row_sizes[-1])
        yield batch_of_rows(sequences, rows[:size], padding_id, row_length, size)
        rows = rows[size:]


def rounded_rows(count: int) -> int:
    """`count` rounded up, by at most a quarter, to one of four sizes per power of two.

    >>> sorted({rounded_rows(count) for count in range(8, 33)})
    [8, 10, 12, 14, 16, 20, 24, 28, 32]
    """
    step = 1 << max(0, count.bit_length() - 3)
    return -(-count // step) * step


def batched_lists(items: list[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive lists of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
