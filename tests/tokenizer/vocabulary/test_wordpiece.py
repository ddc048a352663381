"""WordPiece's greedy encoding of words."""

import numpy as np
import pytest

from tokenizer.vocabulary import wordpiece
from tokenizer.vocabulary.wordpiece import MAX_WORD_CHARACTERS, count_word_tokens, encode_words

TOKENS = ["[UNK]", "a", "b", "##b", "##a", "ab"]


def test_a_word_that_cannot_be_spelled_counts_as_one_token():
    assert count_word_tokens(["ab", "b", "zz"], ["[UNK]", "a", "b", "##b"]).tolist() == [2, 1, 1]
    assert count_word_tokens(["a" * (MAX_WORD_CHARACTERS + 1)], TOKENS).tolist() == [1]


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_batches_do_not_change_the_tokens(batch, monkeypatch):
    monkeypatch.setattr(wordpiece, "WORDS_PER_BATCH", batch)
    encoded = list(encode_words(["abb", "b", "ba"], TOKENS))
    assert np.concatenate([words for words, _ in encoded]).tolist() == [0, 0, 1, 2, 2]
    assert np.concatenate([ids for _, ids in encoded]).tolist() == [5, 3, 2, 2, 4]


def test_an_unknown_token_is_added_where_there_is_none():
    ((_, ids),) = encode_words(["zz"], TOKENS[1:])
    assert ids.tolist() == [len(TOKENS) - 1]
