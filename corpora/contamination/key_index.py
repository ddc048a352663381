"""A sorted index of 64-bit keys, for millions of lookups at once."""

import numpy as np

from corpora.arrays import Codes, Flags, Indices, Keys

BITS_PER_KEY = 32  # of the prefilter: at most 1 in 32 keys that are not in the index pass it, and are searched for


class KeyIndex:
    """Keys, each with one or more owners (int32); 12 bytes per key, and 4 to 8 for a prefilter."""

    def __init__(self, keys: Keys, owners: Indices) -> None:
        order = np.argsort(keys, kind="stable")
        self.keys, self.owners = keys[order], owners[order].astype(np.int32)
        bits = max(10, (len(keys) * BITS_PER_KEY).bit_length())
        self._shift = np.uint64(64 - bits)
        self._bits = np.zeros(1 << (bits - 3), np.uint8)
        slots = self.keys >> self._shift
        np.bitwise_or.at(self._bits, (slots >> np.uint64(3)).astype(np.int64), _bit(slots))

    def __len__(self) -> int:
        return len(self.keys)

    def pairs(self, keys: Keys) -> tuple[Indices, Indices]:
        """All matches of `keys` with the index: indices into `keys`, ascending, and owners.

        A key with several owners gives a pair for each. The key 0 matches nothing.
        """
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int32)
        slots = keys >> self._shift
        likely = np.flatnonzero(self._bits[(slots >> np.uint64(3)).astype(np.int64)] & _bit(slots) != 0)
        likely = likely[keys[likely] != 0]
        first = np.searchsorted(self.keys, keys[likely])
        found = self.keys[np.minimum(first, len(self.keys) - 1)] == keys[likely]
        likely, first = likely[found], first[found]
        counts = np.searchsorted(self.keys, keys[likely], "right") - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(likely, counts), self.owners[np.repeat(first, counts) + within]


def _bit(slots: Keys) -> Codes:
    """The bit of each slot within its byte of the prefilter."""
    bits: Codes = np.left_shift(np.uint8(1), (slots & np.uint64(7)).astype(np.uint8))
    return bits


def first_occurrences(keys: Keys) -> Flags:
    """For each key, whether no earlier one is equal; a key 0 always counts as the first.

    Sorts a sixteenth of the keys at a time, to need a fraction of their memory.
    """
    first: Flags = keys == 0
    for bucket in range(16):
        indices = np.flatnonzero((keys >> np.uint64(60) == bucket) & ~first)
        first[indices[np.unique(keys[indices], return_index=True)[1]]] = True
    return first
