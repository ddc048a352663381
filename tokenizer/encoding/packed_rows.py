"""Packed rows on disk, read memory-mapped."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stackbert.core.artifact import identify, load_manifest, require_artifact
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import TOKENIZER_FILES

LAYOUT = "rows.json"


@dataclass(frozen=True)
class PackedRows:
    """One split of an encoded corpus."""

    ids: np.ndarray
    """(rows, row length), memory-mapped uint16 or uint32."""
    first_id: int
    padding_id: int
    text_bytes: int
    """UTF-8 bytes of the posts encoded."""
    text_tokens: int
    """Their tokens, without [CLS], [SEP] and padding."""

    @property
    def tokens_per_byte(self) -> float:
        return self.text_tokens / self.text_bytes


def load_rows(folder: Path, split: str) -> PackedRows:
    """Open one split of `folder` memory-mapped."""
    require_artifact(folder, "tokenizer encode")
    layout = json.loads((folder / LAYOUT).read_text("utf-8"))
    part = layout["splits"][split]
    shape = (part["rows"], layout["row_length"])
    ids = np.memmap(folder / f"{split}.bin", layout["dtype"], "r", shape=shape)
    return PackedRows(ids, layout["first_id"], layout["padding_id"], part["text_bytes"], part["text_tokens"])


def tokenizer_of_rows(folder: Path) -> str:
    """Identity of the tokenizer that `folder`'s rows were encoded with."""
    return load_manifest(folder).inputs["tokenizer"]


def identify_tokenizer(folder: Path) -> str:
    """What tells one tokenizer from another: the bytes of all its files."""
    found = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not {"tokenizer.json", "vocab.txt", "vocab.json"} & set(found):
        raise StackbertError(f"{folder}: holds no tokenizer (tokenizer.json or vocab.txt)")
    listed = "".join(f"{name} {identify(folder / name)}\n" for name in found)
    return hashlib.sha256(listed.encode()).hexdigest()
