"""Any Hugging Face tokenizer, as the later rooms use it: text in, ids out, the special ids by role."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from corpora.errors import StackbertError

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)
ROLES = ("pad", "unk", "cls", "sep", "mask")


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

    def ids_without_specials(self, texts: list[str]) -> Iterator[list[int]]:
        """Token ids of each text, uncut; '[MASK]' written in a text is read as any other text."""
        # half of a surrogate pair, as broken text brings it, is no character: the tokenizer would refuse the batch
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
        yield from (encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False))

    def ids_for_classifier(self, texts: list[str], max_length: int) -> list[list[int]]:
        """Token ids of each text between [CLS] and [SEP], cut to `max_length` tokens in all."""
        room = max_length - 2
        return [[self.first_id, *ids[:room], self.last_id] for ids in self.ids_without_specials(texts)]


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
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return TextReader(tokenizer, ids["pad"], ids["unk"], ids["cls"], ids["sep"], ids["mask"])
