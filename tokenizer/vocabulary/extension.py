"""Extends a base's vocabulary with words of a domain; the base's tokens, except unused ones, keep their ids."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stackbert.core.errors import StackbertError
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.token_notation import CONTINUATION_PREFIX, SPECIALS, UNKNOWN
from tokenizer.vocabulary.word_counts import WordCounts
from tokenizer.vocabulary.wordpiece import MAX_WORD_CHARACTERS, count_word_tokens

UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True)
class BaseVocabulary:
    """Tokens and case folding of the base."""

    tokens: list[str]
    """Position = id."""
    lowercase: bool


def read_base(folder: Path) -> BaseVocabulary:
    """The WordPiece vocabulary in `folder`; raises StackbertError if its tokenizer is of another kind."""
    reader = load_reader(folder)
    components = json.loads(reader.tokenizer.to_str())
    model = components["model"]
    missing = [name for name in SPECIALS if name not in model.get("vocab", {})]
    if model["type"] != "WordPiece" or model["continuing_subword_prefix"] != CONTINUATION_PREFIX or missing:
        raise StackbertError(
            f"{folder}: only a WordPiece vocabulary such as BERT's can be extended, with {', '.join(SPECIALS)}; this "
            f"is {model['type']}. Train a new vocabulary instead: do not set extend"
        )
    return BaseVocabulary(reader.tokens(), bool((components["normalizer"] or {}).get("lowercase", False)))


def extend_vocabulary(base: BaseVocabulary, words: WordCounts, terms: list[str], config: TokenizerConfig) -> list[str]:
    """The base's tokens, position = id, with up to `config.extend_by` new ones: in its unused rows, then at the end.

    The lexicon's terms come first, then the words that save the most tokens: occurrences times one less than the number
    of tokens the base needs for the word.
    """
    known = set(base.tokens)
    fitting = {word: count for word, count in words.items() if word not in known and len(word) <= MAX_WORD_CHARACTERS}
    new = [term for term in terms if term in fitting]
    others = {word: count for word, count in fitting.items() if count >= config.min_count and word not in set(new)}
    names = list(others)
    saved_W = (count_word_tokens(names, base.tokens) - 1) * np.fromiter(others.values(), np.int64, len(others))
    new += [names[number] for number in np.argsort(-saved_W, kind="stable") if saved_W[number] > 0]
    tokens, unused_ids = list(base.tokens), [n for n, token in enumerate(base.tokens) if UNUSED.fullmatch(token)]
    for token in new[: config.extend_by]:
        if unused_ids:
            tokens[unused_ids.pop(0)] = token
        else:
            tokens.append(token)
    assert UNKNOWN in tokens
    return tokens
