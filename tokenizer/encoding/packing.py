"""Best-fit packing of token sequences into rows of one length.

Several short posts share a row, each seen by itself: attention is block-diagonal and positions restart (Krell et al.
2021, arXiv 2107.02027). A row is full sequences and then padding, nothing more, so which post a token belongs to is
read back from where the first-token ids stand: `segments_of`.
"""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")

FULL_ENOUGH = 0.98
"""Share of a row above which it is written rather than kept open for a short sequence."""


class RowPacker(Generic[Item]):
    """Packs items of known length, window by window; rows that are nearly full are given out, others wait for more.

    >>> packer = RowPacker(row_length=10)
    >>> list(packer.add([(4, "a"), (6, "b"), (3, "c"), (7, "d"), (5, "e")])), list(packer.flush())
    ([['b', 'a'], ['d', 'c']], [['e']])
    """

    def __init__(self, row_length: int, open_rows: int = 4_096):
        self.row_length = row_length
        self._open_limit = open_rows
        self._by_space: list[list[list[Item]]] = [[] for _ in range(row_length + 1)]
        self._spaces = 0  # bit n is set where rows with n tokens of space are open

    def add(self, items: Iterable[tuple[int, Item]]) -> Iterator[list[Item]]:
        """Place one window of (length, item), longest first, each in the row it fills best; yields what is full."""
        for length, item in sorted(items, key=itemgetter(0), reverse=True):
            self._place(length, item)
        nearly_full = int(self.row_length * (1 - FULL_ENOUGH))
        still_open = 0
        # fullest first, so that what exceeds the limit is the least wasteful to keep
        for space, rows in enumerate(self._by_space):
            kept = [] if space <= nearly_full else rows[: max(0, self._open_limit - still_open)]
            yield from rows[len(kept) :]
            self._by_space[space] = kept
            self._spaces &= ~(0 if kept else 1 << space)
            still_open += len(kept)

    def flush(self) -> Iterator[list[Item]]:
        """Give out every row that is still open."""
        for rows in self._by_space:
            yield from rows
            rows.clear()
        self._spaces = 0

    def _place(self, length: int, item: Item) -> None:
        if length > self.row_length:
            raise ValueError(f"a sequence of {length} tokens does not fit a row of {self.row_length}")
        fitting = self._spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1  # the lowest bit: the least space that is enough
            rows = self._by_space[space]
            row = rows.pop()
            self._spaces &= ~(0 if rows else 1 << space)
        else:
            space, row = self.row_length, []
        row.append(item)
        self._by_space[space - length].append(row)
        self._spaces |= 1 << space - length


def segments_of(rows_BT: np.ndarray, first: int, padding: int) -> np.ndarray:
    """Which sequence of its row each token belongs to: 1, 2, ...; 0 is padding. Shape (B, T), int32.

    >>> segments_of(np.array([[7, 4, 9, 7, 5, 9, 0]]), first=7, padding=0)
    array([[1, 1, 1, 2, 2, 2, 0]], dtype=int32)
    """
    return (np.cumsum(rows_BT == first, axis=1) * (rows_BT != padding)).astype(np.int32)
