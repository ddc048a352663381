"""A base's own vocabulary with words of a domain added: what the base knows stays as it is."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stackbert.core.errors import StackbertError
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.export import SPECIALS
from tokenizer.vocabulary.pruning import CONTINUATION, LONGEST_WORD, UNKNOWN, pieces_of_words
from tokenizer.vocabulary.word_counts import WordCounts

UNUSED = re.compile(r"\[unused\d+\]")


@dataclass(frozen=True)
class BaseVocabulary:
    """What an extension needs to know of the base."""

    tokens: list[str]
    """Position = id."""
    lowercase: bool


def read_base(folder: Path) -> BaseVocabulary:
    """The WordPiece vocabulary in `folder`; raises StackbertError where it holds a tokenizer of another kind."""
    reader = load_reader(folder)
    parts = json.loads(reader.tokenizer.to_str())
    model = parts["model"]
    missing = [name for name in SPECIALS if name not in model.get("vocab", {})]
    if model["type"] != "WordPiece" or model["continuing_subword_prefix"] != CONTINUATION or missing:
        raise StackbertError(
            f"{folder}: only a WordPiece vocabulary such as BERT's can be extended, with {', '.join(SPECIALS)}; this "
            f"is {model['type']}. Train a new vocabulary instead (leave out extend)"
        )
    return BaseVocabulary(reader.tokens(), bool((parts["normalizer"] or {}).get("lowercase", False)))


def extend_vocabulary(base: BaseVocabulary, words: WordCounts, terms: list[str], config: TokenizerConfig) -> list[str]:
    """The base's tokens, position = id, with `config.extend_by` new ones: first in its unused rows, then after all.

    The lexicon's terms come first, then the words that save the most tokens: occurrences times the pieces that the base
    reads them in, less one.
    """
    known = set(base.tokens)
    fitting = {word: count for word, count in words.items() if word not in known and len(word) <= LONGEST_WORD}
    new = [term for term in terms if term in fitting]
    others = {word: count for word, count in fitting.items() if count >= config.min_count and word not in set(new)}
    pieces_W = pieces_of_words(list(others), base.tokens)
    saved_W = (pieces_W - 1) * np.fromiter(others.values(), np.int64, len(others))
    names = list(others)
    new += [names[place] for place in np.argsort(-saved_W, kind="stable") if saved_W[place] > 0]
    tokens, places = list(base.tokens), [n for n, token in enumerate(base.tokens) if UNUSED.fullmatch(token)]
    for token in new[: config.extend_by]:
        if places:
            tokens[places.pop(0)] = token
        else:
            tokens.append(token)
    assert UNKNOWN in tokens
    return tokens
