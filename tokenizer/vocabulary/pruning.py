"""The best of many pieces for WordPiece's own way of reading: greedily, the longest piece first.

Pieces that byte-pair encoding learns are steps on the way to longer ones; half of them are never read by a greedy
reader. So twice as many are learned as are wanted, and those that save the fewest tokens are dropped, some at a time,
as SentencePiece's unigram trainer drops by likelihood (Kudo 2018, arXiv 1804.10959, section 3.2).
"""

# W distinct words, P pieces, I pieces of all words

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from tokenizers import Tokenizer, models

CONTINUATION = "##"
LONGEST_WORD = 100  # characters; WordPiece's own limit, longer words become [UNK]
KEPT_A_ROUND = 0.85  # a piece's worth changes as others go; smaller steps changed nothing that was measured
WORDS_AT_A_TIME = 20_000
UNKNOWN = "[UNK]"


def prune_pieces(words: Mapping[str, int], tokens: Sequence[str], kept: frozenset[str], size: int) -> list[str]:
    """`size` of `tokens`, in their order, that spell `words` with few tokens; those in `kept` always stay.

    `words` maps each word to its occurrences. Ties are broken by the order of `tokens`. There may be more than `size`
    tokens left, where `kept` has more.

    >>> prune_pieces({"aab": 5, "aa": 1}, ["a", "b", "##a", "##b", "aa", "aab"], frozenset(["a", "b", "##a", "##b"]), 5)
    ['a', 'b', '##a', '##b', 'aab']
    """
    left = list(tokens)
    while len(left) > max(size, len(kept)):
        worth_P = _tokens_saved(words, left, kept)
        target = max(size, int(len(left) * KEPT_A_ROUND))
        droppable = min(len(left) - target, int(np.isfinite(worth_P).sum()))
        if not droppable:
            break
        stays_P = np.ones(len(left), bool)
        stays_P[np.argsort(worth_P, kind="stable")[:droppable]] = False
        left = [token for token, stays in zip(left, stays_P, strict=True) if stays]
    return left


def pieces_of_words(words: Sequence[str], tokens: Sequence[str]) -> np.ndarray:
    """In how many of `tokens` each word is read, (W,) int64; a word that they cannot spell is one [UNK]."""
    pieces_W = np.zeros(len(words), np.int64)
    for words_I, _ in _read(words, tokens):
        np.add.at(pieces_W, words_I, 1)
    return pieces_W


def _read(words: Sequence[str], tokens: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each piece of the words in turn, some at a time: the number of its word, and its own."""
    ids = {token: number for number, token in enumerate(tokens)}
    ids.setdefault(UNKNOWN, len(tokens))
    model = models.WordPiece(
        vocab=ids, unk_token=UNKNOWN, continuing_subword_prefix=CONTINUATION, max_input_chars_per_word=LONGEST_WORD
    )
    tokenizer = Tokenizer(model)
    for start in range(0, len(words), WORDS_AT_A_TIME):
        part = words[start : start + WORDS_AT_A_TIME]
        encoding = tokenizer.encode(part, is_pretokenized=True, add_special_tokens=False)
        yield np.array(encoding.word_ids, np.int64) + start, np.array(encoding.ids, np.int64)


def _tokens_saved(words: Mapping[str, int], tokens: list[str], kept: frozenset[str]) -> np.ndarray:
    """About how many more tokens the words would take without each piece, (P,); infinity where it must stay."""
    vocabulary = set(tokens)
    counts_W = np.fromiter(words.values(), np.int64, len(words))
    used_P = np.zeros(len(tokens) + 1, np.int64)  # the last place is for words that cannot be spelled
    for words_I, pieces_I in _read(list(words), tokens):
        np.add.at(used_P, pieces_I, counts_W[words_I])
    saved_P = np.full(len(tokens), np.inf)
    for place, token in enumerate(tokens):
        if token not in kept and token != UNKNOWN:
            pieces = _pieces_without(token, vocabulary)
            saved_P[place] = (pieces - 1) * used_P[place] if pieces else np.inf
    return saved_P


def _pieces_without(token: str, vocabulary: set[str]) -> int:
    """How many other pieces spell what `token` does; 0 where none do."""
    inside = token.startswith(CONTINUATION) and len(token) > len(CONTINUATION)
    text = token.removeprefix(CONTINUATION) if inside else token
    number = start = 0
    while start < len(text):
        mark = CONTINUATION if inside or start else ""
        for end in range(len(text), start, -1):
            piece = mark + text[start:end]
            if piece != token and piece in vocabulary:
                break
        else:
            return 0
        number, start = number + 1, end
    return number
