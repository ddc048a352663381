"""Long posts are cut at a paragraph, a line, a space or a word, in this order of liking."""

import random

import numpy as np
import pytest

from tokenizer.encoding.cached_tokenizer import TokenizedTexts
from tokenizer.encoding.truncation import cut_texts

CONTINUES = 1  # the id of a token that goes on a word; others begin one


def text_of(chunks: list[tuple[int, int]], ids: list[int] | None = None) -> TokenizedTexts:
    """One text of (tokens, line ends before) chunks."""
    lengths = np.array([tokens for tokens, _ in chunks])
    total = int(lengths.sum())
    places = np.cumsum(lengths) - lengths
    return TokenizedTexts(
        np.array(ids if ids else [5] * total, np.uint32),
        np.array([0, total]),
        places,
        np.array([newlines for _, newlines in chunks]),
    )


def pieces(text: TokenizedTexts, room: int, *, words: bool = True) -> list[int]:
    begins_word = np.array([number != CONTINUES for number in range(10)]) if words else None
    starts, lengths = cut_texts(text, room, begins_word)
    assert starts.tolist() == (np.cumsum(lengths) - lengths).tolist()  # nothing lost, in order
    return lengths.tolist()


def test_text_that_fits_is_whole():
    assert pieces(text_of([(60, 0), (40, 2)]), 100) == [100]


def test_paragraph_comes_before_a_later_line_and_space():
    assert pieces(text_of([(86, 0), (8, 2), (4, 1), (50, 0)]), 100) == [86, 62]
    assert pieces(text_of([(80, 0), (10, 1), (5, 2), (3, 1), (50, 0)]), 100) == [90, 58]


def test_line_comes_before_a_later_space():
    assert pieces(text_of([(90, 0), (5, 0), (4, 1), (50, 0)]), 100) == [95, 54]


def test_paragraph_or_line_too_early_in_the_row_is_passed_over():
    assert pieces(text_of([(50, 0), (20, 2), (29, 1), (50, 0)]), 100) == [99, 50]


def test_word_inside_a_stretch_is_parted_from_the_next_but_never_in_itself():
    ids = [5] * 40 + [5, 1, 1] * 40
    assert pieces(text_of([(40, 0), (120, 0)], ids), 100) == [100, 60]
    assert pieces(text_of([(40, 0), (120, 0)], ids), 101) == [100, 60]
    assert pieces(text_of([(40, 0), (120, 0)], ids), 102) == [100, 60]


def test_where_words_are_unknown_what_white_space_parts_is_whole():
    assert pieces(text_of([(40, 0), (70, 0), (20, 0)]), 100, words=False) == [40, 90]


@pytest.mark.parametrize("words", [True, False])
def test_a_word_longer_than_the_room_is_cut_at_its_end(words):
    assert pieces(text_of([(250, 0)], [5] + [1] * 249), 100, words=words) == [100, 100, 50]


def test_texts_are_cut_apart_and_empty_ones_leave_nothing():
    texts = TokenizedTexts(np.full(30, 5, np.uint32), np.array([0, 0, 12, 30, 30]), np.arange(30), np.zeros(30, int))
    starts, lengths = cut_texts(texts, 10)
    assert starts.tolist() == [0, 10, 12, 22]
    assert lengths.tolist() == [10, 2, 10, 8]


@pytest.mark.parametrize("seed", range(20))
def test_no_piece_exceeds_the_room_and_none_is_empty(seed):
    draw = random.Random(seed)
    chunks = [(draw.randrange(0, 30), draw.choice([0, 0, 0, 1, 2])) for _ in range(200)]
    ids = [draw.choice([1, 1, 5]) for _ in range(sum(tokens for tokens, _ in chunks))]
    found = pieces(text_of(chunks, ids), room := draw.randrange(6, 60), words=bool(seed % 2))
    assert min(found) >= 1 and max(found) <= room
