"""Where texts longer than a row are truncated: at the end of a paragraph, a line or a word; the rest starts a new row.

Each text becomes one sequence or several, without a loss, or its first sequence alone.
"""

# S sequences, I ids of all texts

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tokenizer.encoding.cached_tokenizer import EncodedTexts, Flags, Indices

LEAST_FILLED = {"paragraph": 0.85, "line": 0.92, "space": 0.985}
"""Share of a row that a sequence must fill to end there; with lower shares only padding would fill the gap."""


def truncate_texts(
    texts: EncodedTexts, max_tokens: int, begins_word: Flags | None = None, first_only: bool = False
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split each text into sequences of at most `max_tokens`, or keep the first of each (`first_only`).

    Returns the sequences' starts in the ids, their lengths and the numbers of their texts, (S,) each.

    `begins_word` tells by id which tokens begin a word: a word is split only if it alone exceeds `max_tokens`. Without
    it, the same holds for chunks (see `cached_tokenizer`).
    """
    truncator = _Truncator(texts, max_tokens, begins_word)
    bounds = itertools.pairwise(texts.texts_N1.tolist())
    count = 1 if first_only else None
    spans = [
        (start, end, text)
        for text, bound in enumerate(bounds)
        for start, end in itertools.islice(truncator.spans(*bound), count)
    ]
    starts_S, ends_S, texts_S = np.array(spans, np.int64).reshape(-1, 3).T
    return starts_S, ends_S - starts_S, texts_S


class _Truncator:
    """Finds the best index at which to end each sequence."""

    def __init__(self, texts: EncodedTexts, max_tokens: int, begins_word: Flags | None) -> None:
        self._ids_I, self._max_tokens, self._begins_word = texts.ids_I, max_tokens, begins_word
        chunks, newlines = texts.chunks_C, texts.newlines_C
        least_at_space = 1 if begins_word is None else int(LEAST_FILLED["space"] * max_tokens)
        self._boundaries: tuple[tuple[Indices, int], ...] = (
            (chunks[newlines >= 2], int(LEAST_FILLED["paragraph"] * max_tokens)),
            (chunks[newlines >= 1], int(LEAST_FILLED["line"] * max_tokens)),
            (chunks, least_at_space),
        )
        """Indices at which a sequence may end, and the least tokens it must then have; best first."""

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Start and end of each sequence of the text between `start` and `end`."""
        while end - start > self._max_tokens:
            cut = self._best_end(start)
            yield start, cut
            start = cut
        if end > start:
            yield start, end

    def _best_end(self, start: int) -> int:
        limit = start + self._max_tokens
        for indices, least in self._boundaries:
            last = indices.searchsorted(limit, side="right") - 1
            if last >= 0 and indices[last] >= start + least:
                return int(indices[last])
        if self._begins_word is None:
            return limit
        words = np.flatnonzero(self._begins_word[self._ids_I[start + 1 : limit + 1]])
        return start + 1 + int(words[-1]) if len(words) else limit
