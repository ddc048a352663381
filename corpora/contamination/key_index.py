"""A sorted index of 64-bit keys that is looked up by the million."""

import numpy as np

BITS_PER_KEY = 32  # of the first look: of strange keys, 1 in 32 or fewer passes it and is then searched for


class KeyIndex:
    """Keys (uint64), each once or more with an owner (int32), in 12 bytes a key and a first look of 4 to 8."""

    def __init__(self, keys: np.ndarray, owners: np.ndarray) -> None:
        order = np.argsort(keys, kind="stable")
        self.keys, self.owners = keys[order], owners[order].astype(np.int32)
        bits = max(10, (len(keys) * BITS_PER_KEY).bit_length())
        self._shift = np.uint64(64 - bits)
        self._bits = np.zeros(1 << (bits - 3), np.uint8)
        slots = self.keys >> self._shift
        np.bitwise_or.at(self._bits, (slots >> np.uint64(3)).astype(np.int64), _bit(slots))

    def __len__(self) -> int:
        return len(self.keys)

    def pairs(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each place in `keys` whose key is here, beside each of the key's owners; places ascend."""
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int32)
        slots = keys >> self._shift
        likely = np.flatnonzero(self._bits[(slots >> np.uint64(3)).astype(np.int64)] & _bit(slots) != 0)
        likely = likely[keys[likely] != 0]
        first = np.searchsorted(self.keys, keys[likely])
        there = self.keys[np.minimum(first, len(self.keys) - 1)] == keys[likely]
        likely, first = likely[there], first[there]
        counts = np.searchsorted(self.keys, keys[likely], "right") - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(likely, counts), self.owners[np.repeat(first, counts) + within]


def _bit(slots: np.ndarray) -> np.ndarray:
    return np.left_shift(np.uint8(1), (slots & np.uint64(7)).astype(np.uint8))


def first_places(keys: np.ndarray) -> np.ndarray:
    """For each key, whether it stands nowhere before; a key 0 always counts as new.

    Sorted a sixteenth at a time, so that the memory for it is a fraction of the keys' own.
    """
    first = keys == 0
    for part in range(16):
        places = np.flatnonzero((keys >> np.uint64(60) == part) & ~first)
        first[places[np.unique(keys[places], return_index=True)[1]]] = True
    return first
