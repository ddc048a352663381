"""The rows of an unfinished encoding, saved block by block, so that a stopped run can resume after the last block."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from stackbert.core.artifact import SCRATCH, write_json
from tokenizer.encoding.blocks import COUNTERS, EncodedSplit, Ids, Pairs, Sequence, fill_rows, pairs_of
from tokenizer.encoding.packed_rows import ENDINGS, PAIR_COUNTS, PAIRS, ROWS, SPLITS, TEXT_KEYS
from tokenizer.encoding.packing import RowPacker

STATE = "blocks.json"


class RowsJournal:
    """Appends blocks in order to the files of rows in `staging`, and records in a state file how long they are.

    A block counts once its bytes are on disk and the state file includes them; bytes beyond, from a stopped run, are
    truncated.
    """

    def __init__(self, staging: Path, endings: tuple[str, ...] = ENDINGS["none"]) -> None:
        """`endings` are those of the files that each split gets."""
        self._endings = endings
        scratch = staging / SCRATCH
        scratch.mkdir(exist_ok=True)
        self._state_path = scratch / STATE
        self.done = 0
        """Number of blocks written."""
        self.counts = {split: dict.fromkeys(COUNTERS, 0) for split in SPLITS}
        """Each split's counts, summed over the blocks."""
        ends: dict[str, int] = {}
        if self._state_path.exists():
            state = json.loads(self._state_path.read_text("utf-8"))
            self.done, self.counts, ends = state["done"], state["counts"], state["ends"]
        paths = {(split + end): staging / (split + end) for split in SPLITS for end in self._endings}
        paths |= {_leftover(split): scratch / f"{split}.leftover" for split in SPLITS}
        self._files = {name: _open_truncated(path, ends.get(name, 0)) for name, path in paths.items()}

    def __enter__(self) -> "RowsJournal":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, block: dict[str, EncodedSplit]) -> None:
        """Write the next block: full rows to the output, leftover sequences to the scratch folder."""
        for split, encoded in block.items():
            self._write_rows(split, encoded.rows_RT, encoded.pairs_P2, encoded.pair_counts_R)
            if TEXT_KEYS in self._endings:
                self._files[split + TEXT_KEYS].write(encoded.keys_N.tobytes())
            for arrays, dtype in (
                ([sequence.ids for sequence in encoded.leftover], encoded.rows_RT.dtype),
                ([sequence.targets for sequence in encoded.leftover], np.dtype(np.uint32)),
            ):
                np.save(self._files[_leftover(split)], np.array([len(array) for array in arrays], np.int64))
                np.save(self._files[_leftover(split)], np.concatenate([*arrays, np.zeros(0, dtype)]))
            for name, value in encoded.counts.items():
                self.counts[split][name] = self.counts[split].get(name, 0) + value
        self.done += 1
        self._save_state()

    def finish(
        self, row_length: int, padding_id: int, dtype: np.dtype[np.unsignedinteger[Any]]
    ) -> dict[str, dict[str, int]]:
        """Pack the leftover sequences of all blocks; returns each split's counts."""
        for split in SPLITS:
            packer: RowPacker[Sequence] = RowPacker(row_length)
            for sequences in self._leftovers(split):
                full = list(packer.add((len(sequence.ids), sequence) for sequence in sequences))
                self._add_packed(split, full, row_length, padding_id, dtype)
            self._add_packed(split, list(packer.flush()), row_length, padding_id, dtype)
        self._sync()
        return self.counts

    def _add_packed(
        self,
        split: str,
        rows: list[list[Sequence]],
        row_length: int,
        padding_id: int,
        dtype: np.dtype[np.unsignedinteger[Any]],
    ) -> None:
        self._write_rows(split, fill_rows(rows, row_length, padding_id, dtype), *pairs_of(rows))
        self.counts[split]["rows"] += len(rows)
        self.counts[split]["row_tokens"] += sum(len(sequence.ids) for row in rows for sequence in row)

    def _write_rows(self, split: str, rows_RT: Ids, pairs_P2: Pairs, pair_counts_R: npt.NDArray[np.uint32]) -> None:
        for ending, array in zip((ROWS, PAIRS, PAIR_COUNTS), (rows_RT, pairs_P2, pair_counts_R), strict=True):
            if ending in self._endings:
                self._files[split + ending].write(array.tobytes())

    def _leftovers(self, split: str) -> Iterator[list[Sequence]]:
        """The leftover sequences, block by block."""
        file = self._files[_leftover(split)]
        file.seek(0)
        for _ in range(self.done):
            ids, targets = (_split(np.load(file), np.load(file)) for _ in range(2))
            yield [Sequence(*each) for each in zip(ids, targets, strict=True)]

    def _save_state(self) -> None:
        self._sync()
        ends = {name: file.tell() for name, file in self._files.items()}
        write_json(self._state_path, {"done": self.done, "counts": self.counts, "ends": ends})

    def _sync(self) -> None:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())


def _leftover(split: str) -> str:
    """Name of the file of a split's leftover sequences in the journal's state."""
    return f"{split} leftover"


def _split(lengths: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """The values as arrays of these lengths."""
    return np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []


def _open_truncated(path: Path, end: int) -> BinaryIO:
    """The file, truncated to `end` bytes and positioned there."""
    path.touch()
    file = path.open("r+b")
    file.truncate(end)
    file.seek(end)
    return file
