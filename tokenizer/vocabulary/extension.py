"""Extends a base's vocabulary with words of a domain; the base's tokens, except unused ones, keep their ids.

What the base does around its vocabulary (normalizer, template, added tokens) is kept as it is.
"""

import json
import re
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from stackbert.core.errors import StackbertError, require
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.files.token_notation import CONTINUATION_PREFIX, SPECIALS, UNKNOWN
from tokenizer.files.tokenizer_checks import ORDINARY_TEXTS
from tokenizer.files.tokenizer_files import UNLIMITED, load_tokenizer
from tokenizer.vocabulary.base_steps import OUR_STEPS, BaseSteps, steps_of
from tokenizer.vocabulary.export import build_tokenizer
from tokenizer.vocabulary.extension_size import ExtensionStep, choose_size
from tokenizer.vocabulary.word_counts import WordCounts
from tokenizer.vocabulary.wordpiece import MAX_WORD_CHARACTERS, count_word_tokens

UNUSED = re.compile(r"\[unused\d+\]")
PAIR = ("some text", "and more")


@dataclass(frozen=True)
class BaseVocabulary:
    """Tokens of the base, and what it does around them."""

    tokens: list[str]
    """Position = id; empty where no token has the id."""
    lowercase: bool
    """Whether the normalizer folds case."""
    max_length: int = 512
    """Most tokens of a text, its model_max_length."""
    steps: BaseSteps = OUR_STEPS
    kept: dict[str, Any] = field(default_factory=dict)
    """Components of its tokenizer.json that are not those that our own vocabularies have."""


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
    tokens = reader.tokens()
    names = tuple(tokens[number] for number in reader.special_ids)
    require(
        names == SPECIALS,
        f"{folder}: its special tokens are {', '.join(names)}; only a base with {', '.join(SPECIALS)} can be extended",
    )
    steps = steps_of(components, folder)
    normalizer = reader.tokenizer.normalizer
    max_length = load_tokenizer(folder).model_max_length
    return BaseVocabulary(
        tokens=tokens,
        lowercase=normalizer is not None and normalizer.normalize_str("A") == "a",
        max_length=max_length if max_length < UNLIMITED else 512,
        steps=steps,
        kept=_kept_components(reader, components, steps),
    )


def _kept_components(reader: TextReader, components: dict[str, Any], steps: BaseSteps) -> dict[str, Any]:
    """What `build_tokenizer` would not make alike."""
    kept: dict[str, Any] = {}
    for name in ("normalizer", "pre_tokenizer"):
        if getattr(steps, name) is not None:
            kept[name] = components[name]
    ours = build_tokenizer(reader.tokens(), [], lowercase=True)
    if not _has_same_template(reader.tokenizer, ours):
        kept["post_processor"] = components["post_processor"]
    built = json.loads(ours.to_str())
    settings = {name: value for name, value in components["model"].items() if name != "vocab"}
    if any(built["model"][name] != value for name, value in settings.items()):
        kept["model"] = settings
    if built["added_tokens"] != components["added_tokens"]:
        kept["added_tokens"] = components["added_tokens"]
    if built["decoder"] != components["decoder"]:
        kept["decoder"] = components["decoder"]
    return kept


def _has_same_template(base: Tokenizer, ours: Tokenizer) -> bool:
    """Whether both put the same special tokens around a text and around a pair of texts."""
    template, ours.post_processor = ours.post_processor, base.post_processor
    theirs = [ours.encode(*texts) for texts in (PAIR[:1], PAIR)]
    ours.post_processor = template
    found = [ours.encode(*texts) for texts in (PAIR[:1], PAIR)]
    return all((one.ids, one.type_ids) == (two.ids, two.type_ids) for one, two in zip(theirs, found, strict=True))


def extend_vocabulary(
    base: BaseVocabulary, words: WordCounts, terms: list[str], config: TokenizerConfig
) -> tuple[list[str], list[ExtensionStep]]:
    """The base's tokens, position = id, with up to `config.extend_by` new ones: in its unused rows, then at the end.

    The lexicon's terms come first, then the words that save the most tokens: occurrences times one less than the number
    of tokens the base needs for the word. Where our pre-tokenizer replaces BERT's, which makes each punctuation
    character a word, those that the base has only as words are added as continuations before all: `don't` is one word.

    With 'auto', terms have no precedence over words, and `choose_size` finds how many tokens to add; its steps are the
    second value.
    """
    known = set(base.tokens)
    required = _continuing_punctuation(known) if base.steps.pre_tokenizer is None else []
    fitting = {word: count for word, count in words.items() if word not in known and len(word) <= MAX_WORD_CHARACTERS}
    first = [] if config.extend_by == "auto" else [term for term in terms if term in fitting]
    others = {word: count for word, count in fitting.items() if count >= config.min_count and word not in set(first)}
    names = list(others)
    saved_W = (count_word_tokens(names, base.tokens) - 1) * np.fromiter(others.values(), np.int64, len(others))
    ordered = [names[number] for number in np.argsort(-saved_W, kind="stable") if saved_W[number] > 0]
    new = [*required, *first, *ordered]
    if not isinstance(config.extend_by, int):
        size, steps = choose_size(
            lambda number: _with_new(base, new[:number]), len(required), len(new), words, config.extend_gain
        )
        return _with_new(base, new[:size]), steps
    if len(required) > config.extend_by:
        raise StackbertError(
            f"extend_by {config.extend_by}: the base lacks {len(required)} characters of punctuation inside words "
            f"({' '.join(required[:4])} ...); raise extend_by above that"
        )
    return _with_new(base, new[: config.extend_by]), []


def _with_new(base: BaseVocabulary, new: list[str]) -> list[str]:
    """The base's tokens and new ones, in its unused rows, then at the end."""
    tokens, unused_ids = list(base.tokens), [n for n, token in enumerate(base.tokens) if UNUSED.fullmatch(token)]
    for token in new:
        if unused_ids:
            tokens[unused_ids.pop(0)] = token
        else:
            tokens.append(token)
    assert UNKNOWN in tokens
    return tokens


def _continuing_punctuation(known: set[str]) -> list[str]:
    """Continuations that the base lacks for the ASCII punctuation that it has as words."""
    return [
        CONTINUATION_PREFIX + character
        for character in string.punctuation
        if character in known and CONTINUATION_PREFIX + character not in known
    ]


def build_extended(base: BaseVocabulary, tokens: list[str], terms: list[str]) -> Tokenizer:
    """The tokenizer with `tokens` that does around them what the base does."""
    tokenizer = build_tokenizer(tokens, terms, base.lowercase)
    if not base.kept:
        return tokenizer
    components = json.loads(tokenizer.to_str())
    model = components["model"] | base.kept.get("model", {})
    # added tokens are in `tokens` too, so that they keep their ids
    return Tokenizer.from_str(json.dumps(components | base.kept | {"model": model}))


def check_extension(base: Path, tokens: list[str], folder: Path) -> None:
    """Read back what was written to `folder`; raises StackbertError where it is not the base with more `tokens`."""
    old, new = load_reader(base), load_reader(folder)
    expected = {token: number for number, token in enumerate(tokens) if token}
    found = new.tokenizer.get_vocab()
    if found != expected or new.special_ids != old.special_ids:
        token = min(expected.items() ^ found.items(), key=lambda item: item[1])[0] if found != expected else "special"
        raise StackbertError(
            f"{base}: its vocabulary cannot be extended: the id of {token!r} would change; train a new vocabulary "
            "instead: do not set extend"
        )
    for text in ORDINARY_TEXTS:
        (before,), (after,) = (list(reader.ids_without_specials([text])) for reader in (old, new))
        if old.unknown_id not in before and new.unknown_id in after:
            raise StackbertError(
                f"{base}: its vocabulary cannot be extended: {text!r} would get unknown tokens, which the base reads; "
                "train a new vocabulary instead: do not set extend"
            )
