"""Where posts longer than a row are cut: at a paragraph or line that leaves a decent piece, else between words."""

# S sequences, I ids of all texts

import itertools
from collections.abc import Iterator

import numpy as np

from tokenizer.encoding.cached_tokenizer import TokenizedTexts

DECENT = {"paragraph": 0.85, "line": 0.92, "space": 0.985}
"""Share of a row that a piece must fill to end there; lower ones leave gaps that only padding fills."""


def cut_texts(texts: TokenizedTexts, room: int, begins_word: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Where each sequence of at most `room` tokens begins among the ids, and how many tokens it has; texts in order.

    `begins_word` tells by id which tokens begin a word: a word is parted only where it alone exceeds the room. Without
    it what white space parts is a word.
    """
    cutter = _Cutter(texts, room, begins_word)
    bounds = texts.texts_N1.tolist()
    edges = [edge for start, end in itertools.pairwise(bounds) for edge in cutter.edges(start, end)]
    starts_S = np.array([start for start, _ in edges], np.int64)
    return starts_S, np.array([end for _, end in edges], np.int64) - starts_S


class _Cutter:
    """The places where texts may be cut, best first."""

    def __init__(self, texts: TokenizedTexts, room: int, begins_word: np.ndarray | None):
        self._ids_I, self._room, self._begins_word = texts.ids_I, room, begins_word
        chunks, newlines = texts.chunks_C, texts.newlines_C
        least_at_space = 1 if begins_word is None else int(DECENT["space"] * room)
        self._places = (
            (chunks[newlines >= 2], int(DECENT["paragraph"] * room)),
            (chunks[newlines >= 1], int(DECENT["line"] * room)),
            (chunks, least_at_space),
        )

    def edges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Start and end of each sequence of the text between `start` and `end`."""
        while end - start > self._room:
            cut = self._cut(start)
            yield start, cut
            start = cut
        if end > start:
            yield start, end

    def _cut(self, start: int) -> int:
        limit = start + self._room
        for places, least in self._places:
            last = places.searchsorted(limit, side="right") - 1
            if last >= 0 and places[last] >= start + least:
                return int(places[last])
        if self._begins_word is None:
            return limit
        words = np.flatnonzero(self._begins_word[self._ids_I[start + 1 : limit + 1]])
        return start + 1 + int(words[-1]) if len(words) else limit
