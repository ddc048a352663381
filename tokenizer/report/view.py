"""The tokens of a text, grouped by word for display on a page."""

from collections.abc import Sequence

from tokenizer.files import token_notation

WORD_STARTS = (token_notation.BYTE_LEVEL_SPACE, token_notation.SENTENCEPIECE_SPACE)
"""Marks of tokens that start a word; WordPiece marks those that continue one."""
SPECIALS = frozenset((*token_notation.SPECIALS, "<s>", "</s>", "<unk>", "<pad>", "<mask>"))
UNKNOWN = frozenset((token_notation.UNKNOWN, "<unk>"))


def words_of(tokens: Sequence[str]) -> list[list[str]]:
    """Tokens grouped by the word they belong to.

    >>> words_of(["my", "##sql", "error"]), words_of(["my", "sql", "Ġerror", "?"])
    ([['my', '##sql'], ['error']], [['my', 'sql'], ['Ġerror'], ['?']])
    """
    starts_marked = any(token.startswith(WORD_STARTS) for token in tokens)
    prefix = token_notation.CONTINUATION_PREFIX
    words: list[list[str]] = []
    for token in tokens:
        if starts_marked and words:
            joined = token[:1].isalnum() and not token.startswith(WORD_STARTS) and words[-1][-1][-1:].isalnum()
        else:
            joined = token.startswith(prefix) and len(token) > len(prefix) and bool(words)
        if joined and token not in SPECIALS and words[-1][0] not in SPECIALS:
            words[-1].append(token)
        else:
            words.append([token])
    return words
