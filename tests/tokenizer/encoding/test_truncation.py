"""Long texts are truncated at the end of a paragraph, a line, a chunk or a word, in this order of preference."""

import random

import numpy as np
import pytest

from tokenizer.encoding.cached_tokenizer import EncodedTexts
from tokenizer.encoding.truncation import truncate_texts

CONTINUES = 1  # the id of a token that continues a word; others begin one


def text_of(chunks: list[tuple[int, int]], ids: list[int] | None = None) -> EncodedTexts:
    """One text of (tokens, line ends before) chunks."""
    lengths = np.array([tokens for tokens, _ in chunks])
    total = int(lengths.sum())
    chunk_starts = np.cumsum(lengths) - lengths
    return EncodedTexts(
        np.array(ids if ids else [5] * total, np.uint32),
        np.array([0, total]),
        chunk_starts,
        np.array([newlines for _, newlines in chunks]),
    )


def sequence_lengths(text: EncodedTexts, max_tokens: int, *, words: bool = True) -> list[int]:
    begins_word = np.array([number != CONTINUES for number in range(10)]) if words else None
    starts, lengths, _ = truncate_texts(text, max_tokens, begins_word)
    assert starts.tolist() == (np.cumsum(lengths) - lengths).tolist()  # nothing lost, in order
    return lengths.tolist()


def test_text_that_fits_is_one_sequence():
    assert sequence_lengths(text_of([(60, 0), (40, 2)]), 100) == [100]


def test_paragraph_is_preferred_to_a_later_line_or_chunk():
    assert sequence_lengths(text_of([(86, 0), (8, 2), (4, 1), (50, 0)]), 100) == [86, 62]
    assert sequence_lengths(text_of([(80, 0), (10, 1), (5, 2), (3, 1), (50, 0)]), 100) == [90, 58]


def test_line_is_preferred_to_a_later_chunk():
    assert sequence_lengths(text_of([(90, 0), (5, 0), (4, 1), (50, 0)]), 100) == [95, 54]


def test_paragraph_or_line_too_early_in_the_row_is_ignored():
    assert sequence_lengths(text_of([(50, 0), (20, 2), (29, 1), (50, 0)]), 100) == [99, 50]


def test_chunk_is_split_between_words_and_never_inside_one():
    ids = [5] * 40 + [5, 1, 1] * 40
    assert sequence_lengths(text_of([(40, 0), (120, 0)], ids), 100) == [100, 60]
    assert sequence_lengths(text_of([(40, 0), (120, 0)], ids), 101) == [100, 60]
    assert sequence_lengths(text_of([(40, 0), (120, 0)], ids), 102) == [100, 60]


def test_without_word_starts_chunks_are_not_split():
    assert sequence_lengths(text_of([(40, 0), (70, 0), (20, 0)]), 100, words=False) == [40, 90]


@pytest.mark.parametrize("words", [True, False])
def test_a_word_longer_than_a_sequence_is_split(words):
    assert sequence_lengths(text_of([(250, 0)], [5] + [1] * 249), 100, words=words) == [100, 100, 50]


def test_texts_do_not_share_a_sequence_and_empty_ones_have_none():
    texts = EncodedTexts(np.full(30, 5, np.uint32), np.array([0, 0, 12, 30, 30]), np.arange(30), np.zeros(30, int))
    starts, lengths, _ = truncate_texts(texts, 10)
    assert starts.tolist() == [0, 10, 12, 22]
    assert lengths.tolist() == [10, 2, 10, 8]


@pytest.mark.parametrize("seed", range(20))
def test_no_sequence_is_too_long_or_empty(seed):
    draw = random.Random(seed)
    chunks = [(draw.randrange(0, 30), draw.choice([0, 0, 0, 1, 2])) for _ in range(200)]
    ids = [draw.choice([1, 1, 5]) for _ in range(sum(tokens for tokens, _ in chunks))]
    found = sequence_lengths(text_of(chunks, ids), max_tokens := draw.randrange(6, 60), words=bool(seed % 2))
    assert min(found) >= 1 and max(found) <= max_tokens
