"""Best-fit packing of token sequences into rows of one length.

Several short posts share a row, but attention is block-diagonal and positions restart in each (Krell et al. 2021,
arXiv 2107.02027). A row holds whole sequences followed by padding. Each sequence starts with [CLS], so `segments_of`
can recover which sequence a token belongs to.
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Item = TypeVar("Item")

FULL_ENOUGH = 0.98
"""Filled share of a row above which it is closed instead of waiting for another short sequence."""


class RowPacker(Generic[Item]):
    """Packs items of known length, batch by batch; yields rows that are nearly full and keeps the others open.

    `row_length` is the capacity of a row, `open_rows` the most rows that stay open between batches.

    >>> packer = RowPacker(row_length=10)
    >>> list(packer.add([(4, "a"), (6, "b"), (3, "c"), (7, "d"), (5, "e")])), list(packer.flush())
    ([['b', 'a'], ['d', 'c']], [['e']])
    """

    def __init__(self, row_length: int, open_rows: int = 4_096) -> None:
        self.row_length = row_length
        self._open_limit = open_rows
        self._by_space: list[list[list[Item]]] = [[] for _ in range(row_length + 1)]
        self._spaces = 0  # bit n is set if a row with space for n tokens is open

    def add(self, items: Iterable[tuple[int, Item]]) -> Iterator[list[Item]]:
        """Put a batch of (length, item), longest first, each into the row it fills best; yield the rows to close."""
        for length, item in sorted(items, key=itemgetter(0), reverse=True):
            self._insert(length, item)
        nearly_full = int(self.row_length * (1 - FULL_ENOUGH))
        still_open = 0
        # fullest first: these stay open, up to the limit
        for space, rows in enumerate(self._by_space):
            open_rows = [] if space <= nearly_full else rows[: max(0, self._open_limit - still_open)]
            yield from rows[len(open_rows) :]
            self._by_space[space] = open_rows
            self._spaces &= ~(0 if open_rows else 1 << space)
            still_open += len(open_rows)

    def flush(self) -> Iterator[list[Item]]:
        """Yield every row that is still open."""
        for rows in self._by_space:
            yield from rows
            rows.clear()
        self._spaces = 0

    def _insert(self, length: int, item: Item) -> None:
        if length > self.row_length:
            raise ValueError(f"a sequence of {length} tokens does not fit a row of {self.row_length}")
        fitting = self._spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1  # lowest bit: the least space that suffices
            rows = self._by_space[space]
            row = rows.pop()
            self._spaces &= ~(0 if rows else 1 << space)
        else:
            space, row = self.row_length, []
        row.append(item)
        self._by_space[space - length].append(row)
        self._spaces |= 1 << space - length


def segments_of(rows_BT: npt.NDArray[np.integer[Any]], first: int, padding: int) -> npt.NDArray[np.int32]:
    """Number of the sequence in its row that each token belongs to: 1, 2, ...; 0 is padding. Shape (B, T), int32.

    >>> segments_of(np.array([[7, 4, 9, 7, 5, 9, 0]]), first=7, padding=0)
    array([[1, 1, 1, 2, 2, 2, 0]], dtype=int32)
    """
    segments_BT: npt.NDArray[np.int64] = np.cumsum(rows_BT == first, axis=1) * (rows_BT != padding)
    return segments_BT.astype(np.int32)
