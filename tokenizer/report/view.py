"""A text's tokens as a page shows them: grouped by word, the broken words and the unknown ones marked."""

from collections.abc import Sequence

WORD_STARTS = ("Ġ", "▁")
"""What byte-level BPE and SentencePiece put before a word, where WordPiece marks the pieces that follow with ##."""
SPECIALS = frozenset(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<unk>", "<pad>", "<mask>"))
UNKNOWN = frozenset(("[UNK]", "<unk>"))


def words_of(tokens: Sequence[str]) -> list[list[str]]:
    """Tokens grouped by the word they are pieces of.

    >>> words_of(["my", "##sql", "error"]), words_of(["my", "sql", "Ġerror", "?"])
    ([['my', '##sql'], ['error']], [['my', 'sql'], ['Ġerror'], ['?']])
    """
    starts_marked = any(token.startswith(WORD_STARTS) for token in tokens)
    words: list[list[str]] = []
    for token in tokens:
        if starts_marked and words:
            joined = token[:1].isalnum() and not token.startswith(WORD_STARTS) and words[-1][-1][-1:].isalnum()
        else:
            joined = token.startswith("##") and len(token) > 2 and bool(words)
        if joined and token not in SPECIALS and words[-1][0] not in SPECIALS:
            words[-1].append(token)
        else:
            words.append([token])
    return words
