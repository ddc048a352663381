"""Packed rows on disk: loading them memory-mapped, and the identity of their tokenizer."""

# B rows of a batch, R rows, M most pairs of a row, P pairs of a text and its target

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from corpora.arrays import Keys
from stackbert.core.artifact import identify, load_manifest, require_artifact
from stackbert.core.errors import StackbertError
from tokenizer.encoding.tag_targets import TARGETS_FILE, load_targets
from tokenizer.files.tokenizer_checks import check_files, found_files

STAGE = "tokenizer encode"
LAYOUT = "rows.json"
SPLITS = ("train", "validation")
ROWS, PAIRS, PAIR_COUNTS, TEXT_KEYS = ".bin", ".pairs.bin", ".pair_counts.bin", ".text_keys.bin"
ENDINGS = {
    "none": (ROWS,),
    "tags": (ROWS, PAIRS, PAIR_COUNTS, TEXT_KEYS),
    "pairs": (ROWS, TEXT_KEYS),
    "words": (ROWS, PAIRS, PAIR_COUNTS, TEXT_KEYS),
}
"""Endings of a split's files, by `EncodeConfig.targets`; PAIRS are of a text and its tag, or a token of its body."""

COUNTED_ROWS = 10_000  # at once: some megabytes


@dataclass(frozen=True)
class RowTargets:
    """What the texts of rows are given to predict: for each row, pairs of a text and a target that it has."""

    names: tuple[str, ...]
    """Of the tags, in the order of their ids; none where the targets are tokens of the rows' vocabulary."""
    starts_R: npt.NDArray[np.int64]
    """Index of each row's first pair, and last the number of pairs."""
    pairs_P2: npt.NDArray[np.uint32]
    """Number of the text in its row, from 1, and id of the target; memory-mapped."""
    max_texts: int
    """Most texts of a row."""
    max_pairs: int
    """M."""
    num_texts: int = 0
    """Texts of all rows."""

    def load(self, numbers_B: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Texts, from 1, and targets of some rows' pairs, (B, M) each; text 0 fills up."""
        pairs_BM2 = np.zeros((len(numbers_B), self.max_pairs, 2), np.int32)
        for pairs_M2, number in zip(pairs_BM2, numbers_B.tolist(), strict=True):
            start, end = self.starts_R[number : number + 2]
            pairs_M2[: end - start] = self.pairs_P2[start:end]
        return pairs_BM2[:, :, 0], pairs_BM2[:, :, 1]


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
    targets: RowTargets | None = None
    max_pairs: int = 0
    """Most pairs of texts in a row, of which numbers 2 n - 1 and 2 n are pair n; 0: the texts are no pairs."""
    has_shared_texts: bool = False
    """Whether pairs may share a text, such as a question's title with its body and with its answer."""

    @property
    def tokens_per_byte(self) -> float:
        return self.text_tokens / self.text_bytes


def load_rows(folder: Path, split: str, with_targets: bool = False) -> PackedRows:
    """Open the rows of one split, "train" or "validation", that 'tokenizer encode' wrote to `folder`.

    `with_targets`: with what their texts are given to predict, where they have it.

    Raises StackbertError for rows that have no such split.
    """
    require_artifact(folder, STAGE)
    layout = json.loads((folder / LAYOUT).read_text("utf-8"))
    if split not in layout["splits"]:
        found = ", ".join(layout["splits"])
        raise StackbertError(f"{folder}: has splits {found} but no '{split}': made by another version; encode again")
    counts = layout["splits"][split]
    with_targets = with_targets and (folder / (split + PAIRS)).is_file()
    return PackedRows(
        _open_ids(folder, layout, split),
        layout["first_id"],
        layout["padding_id"],
        counts["text_bytes"],
        counts["text_tokens"],
        _load_targets(folder, split, counts["texts"]) if with_targets else None,
        layout.get("max_pairs", 0),
        "pair_sources" in layout,
    )


def most_texts(folder: Path, layout: Mapping[str, Any]) -> int:
    """The most texts of a row, over both splits; `layout` as it is written to LAYOUT."""
    most = 0
    for ids_RT in (_open_ids(folder, layout, split) for split in SPLITS):
        for start in range(0, len(ids_RT), COUNTED_ROWS):
            first_RT = ids_RT[start : start + COUNTED_ROWS] == layout["first_id"]
            most = max(most, int(first_RT.sum(1).max()))
    return most


def _open_ids(folder: Path, layout: Mapping[str, Any], split: str) -> npt.NDArray[np.unsignedinteger[Any]]:
    shape = (layout["splits"][split]["rows"], layout["row_length"])
    return np.memmap(folder / (split + ROWS), layout["dtype"], "r", shape=shape)


def _load_targets(folder: Path, split: str, num_texts: int) -> RowTargets:
    """Sizes are those of both splits, so that their batches have the same shapes."""
    counts_R = {each: np.fromfile(folder / (each + PAIR_COUNTS), np.uint32) for each in SPLITS}
    pairs_P2 = {
        each: np.memmap(folder / (each + PAIRS), np.uint32, "r", shape=(int(counts.sum()), 2))
        for each, counts in counts_R.items()
    }
    return RowTargets(
        load_targets(folder / TARGETS_FILE) if (folder / TARGETS_FILE).is_file() else (),
        np.concatenate([[0], np.cumsum(counts_R[split], dtype=np.int64)]),
        pairs_P2[split],
        max_texts=max(int(pairs[:, 0].max()) for pairs in pairs_P2.values()),
        max_pairs=max(int(counts.max()) for counts in counts_R.values()),
        num_texts=num_texts,
    )


def load_text_keys(folder: Path) -> Keys:
    """Keys of the texts of rows with targets or pairs, of both splits, ascending; see corpora.text_keys."""
    return np.unique(np.concatenate([np.fromfile(folder / (split + TEXT_KEYS), np.uint64) for split in SPLITS]))


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
