"""Pieces chosen for greedy reading."""

import random
from itertools import combinations

from tokenizer.vocabulary.pruning import pieces_of_words, prune_pieces

WORDS = {"connection": 50, "connected": 40, "connect": 30, "reconnect": 5, "action": 20, "acted": 10}
LETTERS = sorted({c for word in WORDS for c in word} | {"##" + c for word in WORDS for c in word[1:]})
PIECES = ["connect", "##connect", "##ion", "##ed", "##tion", "re", "co", "conn", "connection", "act", "##ect"]


def tokens(vocabulary: list[str]) -> int:
    return int(pieces_of_words(list(WORDS), vocabulary) @ list(WORDS.values()))


def test_nearly_the_best_choice_is_found():
    found = prune_pieces(WORDS, [*LETTERS, *PIECES], frozenset(LETTERS), len(LETTERS) + 5)
    best = min(tokens([*LETTERS, *chosen]) for chosen in combinations(PIECES, 5))
    assert len(found) == len(LETTERS) + 5
    assert tokens(found) <= 1.05 * best


def test_what_must_stay_stays_and_the_order_is_kept():
    kept = frozenset([*LETTERS, "co", "##ect"])
    found = prune_pieces(WORDS, [*LETTERS, *PIECES], kept, 1)
    assert found == [token for token in [*LETTERS, *PIECES] if token in kept]


def test_word_of_marks_is_no_inner_piece():
    vocabulary = ["#", "a", "###", "##a", "##", "aa"]  # '###' is '#' within a word
    kept = frozenset(vocabulary[:4])
    assert prune_pieces({"##": 9, "aa": 1}, vocabulary, kept, 5) == [*vocabulary[:4], "##"]
    assert prune_pieces({"##": 1, "aa": 9}, vocabulary, kept, 5) == [*vocabulary[:4], "aa"]


def test_pieces_of_words_counts_one_for_what_cannot_be_spelled():
    assert pieces_of_words(["ab", "b", "zz"], ["[UNK]", "a", "b", "##b"]).tolist() == [2, 1, 1]


def test_same_input_gives_the_same_pieces_whatever_the_ties():
    draw = random.Random(1)
    words = {"".join(draw.choices("abc", k=5)): 1 for _ in range(50)}
    pieces = sorted({word[:k] for word in words for k in (1, 2, 3)} | {"##" + c for c in "abc"})
    kept = frozenset(piece for piece in pieces if len(piece.removeprefix("##")) == 1)
    assert len({tuple(prune_pieces(words, pieces, kept, 14)) for _ in range(3)}) == 1
