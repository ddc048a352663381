"""Any Hugging Face tokenizer, as the later rooms use it: text in, ids out, the special ids by role."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from tokenizer.encoding.cached_tokenizer import ChunkReader

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)
ROLES = ("pad", "unk", "cls", "sep", "mask")
SPACE, BYTE_SPACE = "\u2581", "\u0120"  # SentencePiece's and byte-level BPE's marks of a space before a word
TEXTS_AT_ONCE = 1_000  # a few megabytes of text and of its ids


@dataclass(frozen=True)
class TextReader:
    """A tokenizer and the ids of its special tokens."""

    tokenizer: Tokenizer
    padding_id: int
    unknown_id: int
    first_id: int
    """[CLS], or <s>."""
    last_id: int
    """[SEP], or </s>."""
    mask_id: int

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.get_vocab_size()

    @property
    def special_ids(self) -> tuple[int, ...]:
        return (self.padding_id, self.unknown_id, self.first_id, self.last_id, self.mask_id)

    def tokens(self) -> list[str]:
        """Token strings, position = id."""
        return [self.tokenizer.id_to_token(number) or "" for number in range(self.vocab_size)]

    @cached_property
    def chunks(self) -> ChunkReader:
        """The quick way through this tokenizer; remembers what it has read."""
        return ChunkReader(self.tokenizer)

    @cached_property
    def begins_word(self) -> np.ndarray | None:
        """Whether each token, by id, begins a word, as WordPiece's prefix tells; None for other models."""
        model = self.tokenizer.model
        if not isinstance(model, WordPiece) or not model.continuing_subword_prefix:
            return None
        return np.array([not token.startswith(model.continuing_subword_prefix) for token in self.tokens()])

    @cached_property
    def space_mark(self) -> str:
        """What stands, in tokens, for a space before a word: SentencePiece's or byte-level BPE's mark; '' for neither.

        It begins a tenth of the tokens or more: any vocabulary can hold the letter itself.
        """
        tokens = [] if self.begins_word is not None else self.tokens()
        for mark in (SPACE, BYTE_SPACE):
            if 10 * sum(token.startswith(mark) for token in tokens) > len(tokens):
                return mark
        return ""

    def ids_without_specials(self, texts: list[str]) -> Iterator[list[int]]:
        """Token ids of each text, uncut; '[MASK]' written in a text is read as any other text."""
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            yield from (ids.tolist() for ids in self.chunks.read(texts[start : start + TEXTS_AT_ONCE]).of_each_text())

    def ids_for_classifier(self, texts: list[str], max_length: int) -> list[list[int]]:
        """Token ids of each text between [CLS] and [SEP], cut to `max_length` tokens in all."""
        room = max_length - 2
        return [[self.first_id, *ids[:room], self.last_id] for ids in self.ids_without_specials(texts)]

    def save(self, path: Path) -> None:
        """Write the tokenizer and its special ids to one file, which `restore` opens without transformers."""
        numbers = dict(zip(ROLES, self.special_ids, strict=True))
        write_json(path, {"special_ids": numbers, "tokenizer": json.loads(self.tokenizer.to_str())})

    @staticmethod
    def restore(path: Path) -> "TextReader":
        """The reader that `save` wrote to `path`."""
        saved = json.loads(path.read_text("utf-8"))
        return _reader(Tokenizer.from_str(json.dumps(saved["tokenizer"])), saved["special_ids"])


def load_reader(folder: Path) -> TextReader:
    """Load the tokenizer in `folder` through `transformers.AutoTokenizer`, so that older file layouts are read too."""
    from transformers import AutoTokenizer  # slow to import, and not needed by the command line's help

    try:
        loaded = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        tokenizer = loaded.backend_tokenizer
    except Exception as error:  # a broken file raises many kinds, down to the Exception of the Rust library
        raise StackbertError(f"{folder}: its tokenizer cannot be loaded: {error}") from error
    ids = {role: getattr(loaded, f"{role}_token_id") for role in ROLES}
    missing = [role for role, number in ids.items() if number is None]
    if missing:
        raise StackbertError(f"{folder}: the tokenizer names no {', '.join(missing)} token in tokenizer_config.json")
    return _reader(tokenizer, ids)


def _reader(tokenizer: Tokenizer, ids: dict[str, int]) -> TextReader:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return TextReader(tokenizer, ids["pad"], ids["unk"], ids["cls"], ids["sep"], ids["mask"])
