"""WordPiece's greedy encoding of words: the longest token first."""

# W words, I tokens of all words

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models

from tokenizer.files.token_notation import CONTINUATION_PREFIX, UNKNOWN

MAX_WORD_CHARACTERS = 100  # WordPiece's own limit; longer words become [UNK]
WORDS_PER_BATCH = 20_000


def build_wordpiece(ids: Mapping[str, int]) -> models.WordPiece:
    """The model that encodes with the tokens of `ids`."""
    return models.WordPiece(
        vocab=dict(ids),
        unk_token=UNKNOWN,
        continuing_subword_prefix=CONTINUATION_PREFIX,
        max_input_chars_per_word=MAX_WORD_CHARACTERS,
    )


def encode_words(
    words: Sequence[str], tokens: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Encode the words with `tokens`; yields, batch by batch, each token's index of its word (I,) and its id (I,)."""
    ids = {token: number for number, token in enumerate(tokens)}
    ids.setdefault(UNKNOWN, len(tokens))
    tokenizer = Tokenizer(build_wordpiece(ids))
    for start in range(0, len(words), WORDS_PER_BATCH):
        batch = words[start : start + WORDS_PER_BATCH]
        encoding = tokenizer.encode(batch, is_pretokenized=True, add_special_tokens=False)
        yield np.array(encoding.word_ids, np.int64) + start, np.array(encoding.ids, np.int64)


def count_word_tokens(words: Sequence[str], tokens: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number of tokens that each word takes, (W,); a word that `tokens` cannot spell is one [UNK]."""
    counts_W = np.zeros(len(words), np.int64)
    for words_I, _ in encode_words(words, tokens):
        np.add.at(counts_W, words_I, 1)
    return counts_W
