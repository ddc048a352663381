"""Tags by post, from a table with one row a tag, in few bytes."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TagTable:
    """The tags of each post: N rows of 12 bytes, and each tag's name once."""

    keys_N: np.ndarray
    """int64, ascending: see _key."""
    codes_N: np.ndarray
    """int32, index into `names`; a post's in the order of the file."""
    names: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Iterable[str]]]) -> "TagTable":
        """The table of pairs of an id and tags; an id may come more than once, anywhere."""
        codes_of: dict[str, int] = {}
        keys, codes = array("q"), array("i")
        for post_id, tags in pairs:
            for tag in tags:
                keys.append(_key(post_id))
                codes.append(codes_of.setdefault(tag, len(codes_of)))
        keys_N, codes_N = np.frombuffer(keys, np.int64), np.frombuffer(codes, np.int32)
        order_N = np.argsort(keys_N, kind="stable")
        return cls(keys_N[order_N], codes_N[order_N], tuple(codes_of))

    def tags(self, post_id: str) -> list[str]:
        """The post's tags in the order of the file; empty where it has none."""
        key = _key(post_id)
        first, last = (int(np.searchsorted(self.keys_N, key, side)) for side in ("left", "right"))
        return [self.names[code] for code in self.codes_N[first:last].tolist()]


def _key(post_id: str) -> int:
    """The number itself; of any other id a negative hash of 63 bits, equal for two in 4 million once in a million."""
    if post_id.isascii() and post_id.isdecimal() and len(post_id) <= 18 and (post_id == "0" or post_id[0] != "0"):
        return int(post_id)
    return -1 - (int.from_bytes(hashlib.blake2b(post_id.encode("utf-8", "replace"), digest_size=8).digest()) >> 1)
