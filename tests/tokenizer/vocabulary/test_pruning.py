"""Candidate pieces pruned for greedy encoding."""

import random
from itertools import combinations

from tokenizer.vocabulary.pruning import prune_pieces
from tokenizer.vocabulary.wordpiece import count_word_tokens

WORDS = {"connection": 50, "connected": 40, "connect": 30, "reconnect": 5, "action": 20, "acted": 10}
LETTERS = sorted({c for word in WORDS for c in word} | {"##" + c for word in WORDS for c in word[1:]})
PIECES = ["connect", "##connect", "##ion", "##ed", "##tion", "re", "co", "conn", "connection", "act", "##ect"]


def tokens(vocabulary: list[str]) -> int:
    return int(count_word_tokens(list(WORDS), vocabulary) @ list(WORDS.values()))


def test_pruning_is_within_5_percent_of_the_best_choice():
    found = prune_pieces(WORDS, [*LETTERS, *PIECES], frozenset(LETTERS), len(LETTERS) + 5)
    best = min(tokens([*LETTERS, *chosen]) for chosen in combinations(PIECES, 5))
    assert len(found) == len(LETTERS) + 5
    assert tokens(found) <= 1.05 * best


def test_required_pieces_are_kept_in_order():
    required = frozenset([*LETTERS, "co", "##ect"])
    found = prune_pieces(WORDS, [*LETTERS, *PIECES], required, 1)
    assert found == [token for token in [*LETTERS, *PIECES] if token in required]


def test_word_of_hash_signs_is_no_continuation():
    vocabulary = ["#", "a", "###", "##a", "##", "aa"]  # '###' is '#' that continues a word
    required = frozenset(vocabulary[:4])
    assert prune_pieces({"##": 9, "aa": 1}, vocabulary, required, 5) == [*vocabulary[:4], "##"]
    assert prune_pieces({"##": 1, "aa": 9}, vocabulary, required, 5) == [*vocabulary[:4], "aa"]


def test_ties_are_broken_the_same_way_each_time():
    draw = random.Random(1)
    words = {"".join(draw.choices("abc", k=5)): 1 for _ in range(50)}
    pieces = sorted({word[:k] for word in words for k in (1, 2, 3)} | {"##" + c for c in "abc"})
    required = frozenset(piece for piece in pieces if len(piece.removeprefix("##")) == 1)
    assert len({tuple(prune_pieces(words, pieces, required, 14)) for _ in range(3)}) == 1
