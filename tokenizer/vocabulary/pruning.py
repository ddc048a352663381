"""Prunes candidate pieces to those that are most useful for WordPiece's greedy encoding.

Many pieces that byte-pair encoding learns are only steps towards longer ones; the greedy encoder never uses half of
them. So twice as many pieces are learned as the vocabulary holds, and those that save the fewest tokens are dropped in
rounds, as SentencePiece's unigram trainer drops by likelihood (Kudo 2018, arXiv 1804.10959, section 3.2).
"""

# W distinct words, P pieces, I tokens of all words

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tokenizer.files.token_notation import CONTINUATION_PREFIX, UNKNOWN
from tokenizer.vocabulary.wordpiece import encode_words

KEPT_PER_ROUND = 0.85  # dropping pieces changes what others save; smaller rounds changed no measured result


def prune_pieces(words: Mapping[str, int], tokens: Sequence[str], required: frozenset[str], size: int) -> list[str]:
    """`size` of `tokens`, in their order, that encode `words` in few tokens; all of `required` are kept.

    `words` maps each word to its occurrences. Ties are broken by the order of `tokens`. More than `size` tokens remain
    if `required` has more.

    >>> prune_pieces({"aab": 5, "aa": 1}, ["a", "b", "##a", "##b", "aa", "aab"], frozenset(["a", "b", "##a", "##b"]), 5)
    ['a', 'b', '##a', '##b', 'aab']
    """
    left = list(tokens)
    while len(left) > max(size, len(required)):
        saved_P = _tokens_saved(words, left, required)
        target = max(size, int(len(left) * KEPT_PER_ROUND))
        num_dropped = min(len(left) - target, int(np.isfinite(saved_P).sum()))
        if not num_dropped:
            break
        is_kept_P = np.ones(len(left), bool)
        is_kept_P[np.argsort(saved_P, kind="stable")[:num_dropped]] = False
        left = [token for token, is_kept in zip(left, is_kept_P, strict=True) if is_kept]
    return left


def _tokens_saved(words: Mapping[str, int], tokens: list[str], required: frozenset[str]) -> npt.NDArray[np.float64]:
    """Estimate of how many more tokens the words would take without each piece, (P,); infinity for required ones."""
    vocabulary = set(tokens)
    counts_W = np.fromiter(words.values(), np.int64, len(words))
    used_P = np.zeros(len(tokens) + 1, np.int64)  # the last entry counts words that cannot be spelled
    for words_I, pieces_I in encode_words(list(words), tokens):
        np.add.at(used_P, pieces_I, counts_W[words_I])
    saved_P = np.full(len(tokens), np.inf)
    for number, token in enumerate(tokens):
        if token not in required and token != UNKNOWN:
            pieces = _pieces_without(token, vocabulary)
            saved_P[number] = (pieces - 1) * used_P[number] if pieces else np.inf
    return saved_P


def _pieces_without(token: str, vocabulary: set[str]) -> int:
    """Number of other pieces that spell `token`; 0 if they cannot."""
    continues = token.startswith(CONTINUATION_PREFIX) and len(token) > len(CONTINUATION_PREFIX)
    text = token.removeprefix(CONTINUATION_PREFIX) if continues else token
    number = start = 0
    while start < len(text):
        prefix = CONTINUATION_PREFIX if continues or start else ""
        for end in range(len(text), start, -1):
            piece = prefix + text[start:end]
            if piece != token and piece in vocabulary:
                break
        else:
            return 0
        number, start = number + 1, end
    return number
