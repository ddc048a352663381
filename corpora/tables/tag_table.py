"""A compact map from posts to tags, from a table with one row per post and tag."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from corpora.arrays import Indices


@dataclass(frozen=True, eq=False)
class TagTable:
    """The tags of each post: 12 bytes for each of N rows, and the tags' names."""

    keys_N: Indices
    """int64, ascending; key of the post's id, see _key."""
    codes_N: Indices
    """int32, index into `names`; the tags of a post keep the order of the file."""
    names: tuple[str, ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, Iterable[str]]]) -> "TagTable":
        """Build the table from pairs of id and tags; an id may occur several times, in any order."""
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
        """The post's tags in the order of the file, without repetitions."""
        key = _key(post_id)
        first, last = (int(np.searchsorted(self.keys_N, key, side)) for side in ("left", "right"))
        return [self.names[code] for code in dict.fromkeys(self.codes_N[first:last].tolist())]


def _key(post_id: str) -> int:
    """A numeric id itself; for any other id a negative 63-bit hash (4 million ids collide with probability 1e-6)."""
    if post_id.isascii() and post_id.isdecimal() and len(post_id) <= 18 and (post_id == "0" or post_id[0] != "0"):
        return int(post_id)
    return -1 - (int.from_bytes(hashlib.blake2b(post_id.encode("utf-8", "replace"), digest_size=8).digest()) >> 1)
