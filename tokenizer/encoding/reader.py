"""Any Hugging Face tokenizer as pretraining and finetuning use it: texts to ids, special ids by role."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from stackbert.core.artifact import write_json
from tokenizer.encoding.cached_tokenizer import CachedTokenizer
from tokenizer.files.token_notation import BYTE_LEVEL_SPACE, SENTENCEPIECE_SPACE
from tokenizer.files.tokenizer_checks import ROLES
from tokenizer.files.tokenizer_files import load_tokenizer

TEXTS_PER_BATCH = 1_000  # a few megabytes of text and of ids


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

    @cached_property
    def vocab_size(self) -> int:
        """Rows that a word table needs: the highest id + 1. Ids may have holes, so there may be fewer tokens."""
        return max(self.tokenizer.get_vocab().values()) + 1

    @cached_property
    def absent_ids(self) -> tuple[int, ...]:
        """Ids below `vocab_size` that no token has: a vocab.txt with a repeated line leaves the first one without."""
        return tuple(sorted(set(range(self.vocab_size)) - set(self.tokenizer.get_vocab().values())))

    @property
    def special_ids(self) -> tuple[int, ...]:
        return (self.padding_id, self.unknown_id, self.first_id, self.last_id, self.mask_id)

    def tokens(self) -> list[str]:
        """Token strings, position = id; empty where no token has the id."""
        tokens = [""] * self.vocab_size
        for token, number in self.tokenizer.get_vocab().items():
            tokens[number] = token  # id_to_token would give an added token as the normalizer makes it
        return tokens

    @cached_property
    def cached_tokenizer(self) -> CachedTokenizer:
        """Encodes faster than `tokenizer`, with the same ids; its cache lives as long as the reader."""
        return CachedTokenizer(self.tokenizer)

    @cached_property
    def begins_word(self) -> npt.NDArray[np.bool_] | None:
        """Whether each token, by id, begins a word: it lacks WordPiece's continuation prefix; None for other models."""
        model = self.tokenizer.model
        if not isinstance(model, WordPiece) or not model.continuing_subword_prefix:
            return None
        return np.array([not token.startswith(model.continuing_subword_prefix) for token in self.tokens()])

    @cached_property
    def space_mark(self) -> str:
        """The character that stands for a space before a word: SentencePiece's, byte-level BPE's, or '' for neither.

        The decoder tells, or what splits texts where there is none, since any vocabulary may contain the character
        itself, and one of a language without spaces hardly begins a token with it.
        """
        if self.begins_word is not None:
            return ""
        for part in (self.tokenizer.decoder, self.tokenizer.pre_tokenizer, self.tokenizer.normalizer):
            description = part.__getstate__().decode() if part else ""
            if '"type":"ByteLevel"' in description:
                return BYTE_LEVEL_SPACE
            if SENTENCEPIECE_SPACE in description:
                return SENTENCEPIECE_SPACE
        return ""

    def ids_without_specials(self, texts: list[str]) -> Iterator[list[int]]:
        """Token ids of each text, not truncated; '[MASK]' written in a text is encoded like any other text."""
        for start in range(0, len(texts), TEXTS_PER_BATCH):
            encoded = self.cached_tokenizer.encode(texts[start : start + TEXTS_PER_BATCH])
            yield from (ids.tolist() for ids in encoded.of_each_text())

    def ids_for_classifier(self, texts: list[str], max_length: int) -> list[list[int]]:
        """Token ids of each text with [CLS] and [SEP], truncated to `max_length` tokens including these two."""
        return [[self.first_id, *ids[: max_length - 2], self.last_id] for ids in self.ids_without_specials(texts)]

    def save(self, path: Path) -> None:
        """Write the tokenizer and its special ids to one file, which `restore` loads without importing transformers."""
        special_ids = dict(zip(ROLES, self.special_ids, strict=True))
        write_json(path, {"special_ids": special_ids, "tokenizer": json.loads(self.tokenizer.to_str())})

    @staticmethod
    def restore(path: Path) -> "TextReader":
        """Load the reader that `save` wrote to `path`."""
        saved = json.loads(path.read_text("utf-8"))
        return _build_reader(Tokenizer.from_str(json.dumps(saved["tokenizer"])), saved["special_ids"])


def load_reader(folder: Path) -> TextReader:
    """Load the tokenizer in `folder` and check it; raises StackbertError as `load_tokenizer` does."""
    loaded = load_tokenizer(folder)
    return _build_reader(loaded.backend_tokenizer, {role: getattr(loaded, f"{role}_token_id") for role in ROLES})


def _build_reader(tokenizer: Tokenizer, ids: dict[str, int]) -> TextReader:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return TextReader(tokenizer, ids["pad"], ids["unk"], ids["cls"], ids["sep"], ids["mask"])
