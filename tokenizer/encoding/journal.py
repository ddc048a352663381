"""The rows of an unfinished encoding, saved block by block, so that a stopped run can resume after the last block."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stackbert.core.artifact import SCRATCH, write_json
from tokenizer.encoding.blocks import COUNTERS, SPLITS, EncodedSplit, Ids, fill_rows
from tokenizer.encoding.packing import RowPacker

STATE = "blocks.json"


class RowsJournal:
    """Appends blocks in order to the files of rows in `staging`, and records in a state file how long they are.

    A block counts once its bytes are on disk and the state file includes them; bytes beyond, from a stopped run, are
    truncated.
    """

    def __init__(self, staging: Path) -> None:
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
        paths = {split: staging / f"{split}.bin" for split in SPLITS}
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
            self._write_rows(split, encoded.rows_RT)
            lengths = np.array([len(sequence) for sequence in encoded.leftover], np.int64)
            ids = np.concatenate([*encoded.leftover, np.zeros(0, encoded.rows_RT.dtype)])
            np.save(self._files[_leftover(split)], lengths)
            np.save(self._files[_leftover(split)], ids)
            for name, value in encoded.counts.items():
                self.counts[split][name] += value
        self.done += 1
        self._save_state()

    def finish(
        self, row_length: int, padding_id: int, dtype: np.dtype[np.unsignedinteger[Any]]
    ) -> dict[str, dict[str, int]]:
        """Pack the leftover sequences of all blocks; returns each split's counts."""
        for split in SPLITS:
            packer: RowPacker[Ids] = RowPacker(row_length)
            for sequences in self._leftovers(split):
                full = list(packer.add((len(ids), ids) for ids in sequences))
                self._add_packed(split, full, row_length, padding_id, dtype)
            self._add_packed(split, list(packer.flush()), row_length, padding_id, dtype)
        self._sync()
        return self.counts

    def _add_packed(
        self,
        split: str,
        rows: list[list[Ids]],
        row_length: int,
        padding_id: int,
        dtype: np.dtype[np.unsignedinteger[Any]],
    ) -> None:
        self._write_rows(split, fill_rows(rows, row_length, padding_id, dtype))
        self.counts[split]["rows"] += len(rows)
        self.counts[split]["row_tokens"] += sum(len(ids) for row in rows for ids in row)

    def _write_rows(self, split: str, rows_RT: Ids) -> None:
        self._files[split].write(rows_RT.tobytes())

    def _leftovers(self, split: str) -> Iterator[list[Ids]]:
        """The leftover sequences, block by block."""
        file = self._files[_leftover(split)]
        file.seek(0)
        for _ in range(self.done):
            lengths, ids = np.load(file), np.load(file)
            yield np.split(ids, np.cumsum(lengths)[:-1]) if len(lengths) else []

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


def _open_truncated(path: Path, end: int) -> BinaryIO:
    """The file, truncated to `end` bytes and positioned there."""
    path.touch()
    file = path.open("r+b")
    file.truncate(end)
    file.seek(end)
    return file
