"""Packed rows on disk: loading them memory-mapped, and the identity of their tokenizer."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stackbert.core.artifact import identify, load_manifest, require_artifact
from stackbert.core.errors import StackbertError
from tokenizer.encoding.tokenizer_checks import check_files, found_files

STAGE = "tokenizer encode"
LAYOUT = "rows.json"


@dataclass(frozen=True)
class PackedRows:
    """One split of an encoded corpus."""

    ids: npt.NDArray[np.unsignedinteger[Any]]
    """(rows, row length), uint16 or uint32, memory-mapped."""
    first_id: int
    padding_id: int
    text_bytes: int
    """UTF-8 bytes of the encoded posts."""
    text_tokens: int
    """Tokens of the encoded posts, without [CLS], [SEP] and padding."""

    @property
    def tokens_per_byte(self) -> float:
        return self.text_tokens / self.text_bytes


def load_rows(folder: Path, split: str) -> PackedRows:
    """Open the rows of one split, "train" or "validation", that 'tokenizer encode' wrote to `folder`.

    Raises StackbertError for rows that have no such split.
    """
    require_artifact(folder, STAGE)
    layout = json.loads((folder / LAYOUT).read_text("utf-8"))
    if split not in layout["splits"]:
        found = ", ".join(layout["splits"])
        raise StackbertError(f"{folder}: has splits {found} but no '{split}': made by another version; encode again")
    counts = layout["splits"][split]
    shape = (counts["rows"], layout["row_length"])
    ids = np.memmap(folder / f"{split}.bin", layout["dtype"], "r", shape=shape)
    return PackedRows(ids, layout["first_id"], layout["padding_id"], counts["text_bytes"], counts["text_tokens"])


def tokenizer_of_rows(folder: Path) -> str:
    """Identity of the tokenizer that `folder`'s rows were encoded with."""
    return load_manifest(folder).inputs["tokenizer"]


def check_tokenizer(rows: Path, tokenizer: Path) -> None:
    """Raise StackbertError where `rows` were encoded with another tokenizer than `tokenizer`."""
    require_artifact(rows, STAGE)
    if identify_tokenizer(tokenizer) != tokenizer_of_rows(rows):
        raise StackbertError(
            f"{rows}: encoded with another tokenizer than {tokenizer}; pass the tokenizer that encoded the rows, or "
            "encode them again with this one"
        )


def identify_tokenizer(folder: Path) -> str:
    """sha256 over the bytes of all files of the tokenizer in `folder`."""
    check_files(folder)
    listed = "".join(f"{name} {identify(folder / name)}\n" for name in found_files(folder))
    return hashlib.sha256(listed.encode()).hexdigest()
