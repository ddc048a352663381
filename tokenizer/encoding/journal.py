"""The rows of an encoding under way: written block by block, so that a stopped run goes on after the last one."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stackbert.core.artifact import SCRATCH, write_json
from tokenizer.encoding.blocks import SPLITS, SUMS, EncodedSplit, fill_rows
from tokenizer.encoding.packing import RowPacker

STATE = "blocks.json"


class RowsJournal:
    """Appends blocks to the rows' files in `staging`, in order; `state` says how far they are.

    A block counts once its bytes are on disk and the state names their end; what a stopped run wrote beyond is cut off.
    """

    def __init__(self, staging: Path):
        scratch = staging / SCRATCH
        scratch.mkdir(exist_ok=True)
        self._state_path = scratch / STATE
        self.done = 0
        """Blocks written."""
        self.sums = {split: dict.fromkeys(SUMS, 0) for split in SPLITS}
        ends: dict[str, int] = {}
        if self._state_path.exists():
            state = json.loads(self._state_path.read_text("utf-8"))
            self.done, self.sums, ends = state["done"], state["sums"], state["ends"]
        paths = {split: staging / f"{split}.bin" for split in SPLITS}
        paths |= {_rest(split): scratch / f"{split}.rest" for split in SPLITS}
        self._files = {name: _opened(path, ends.get(name, 0)) for name, path in paths.items()}

    def __enter__(self) -> "RowsJournal":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, block: dict[str, EncodedSplit]) -> None:
        """Write the next block: its full rows to their place, what waits for other blocks to the scratch."""
        for split, encoded in block.items():
            self._add_rows(split, encoded.rows_RT)
            lengths = np.array([len(sequence) for sequence in encoded.rest], np.int64)
            np.save(self._files[_rest(split)], lengths)
            np.save(self._files[_rest(split)], np.concatenate([*encoded.rest, np.zeros(0, encoded.rows_RT.dtype)]))
            for name, value in encoded.sums.items():
                self.sums[split][name] += value
        self.done += 1
        self._save()

    def finish(self, row_length: int, padding_id: int, dtype: np.dtype) -> dict[str, dict[str, int]]:
        """Pack what waited, over all blocks; returns each split's sums."""
        for split in SPLITS:
            packer: RowPacker[np.ndarray] = RowPacker(row_length)
            for sequences in self._rests(split):
                self._finish_rows(
                    split, list(packer.add((len(ids), ids) for ids in sequences)), packer, padding_id, dtype
                )
            self._finish_rows(split, list(packer.flush()), packer, padding_id, dtype)
        self._sync()
        return self.sums

    def _finish_rows(
        self, split: str, rows: list[list[np.ndarray]], packer: RowPacker[np.ndarray], padding_id: int, dtype: np.dtype
    ) -> None:
        self._add_rows(split, fill_rows(rows, packer.row_length, padding_id, dtype))
        self.sums[split]["rows"] += len(rows)
        self.sums[split]["row_tokens"] += sum(len(ids) for row in rows for ids in row)

    def _add_rows(self, split: str, rows_RT: np.ndarray) -> None:
        self._files[split].write(rows_RT.tobytes())

    def _rests(self, split: str) -> Iterator[list[np.ndarray]]:
        """The sequences left over, block by block."""
        file = self._files[_rest(split)]
        file.seek(0)
        for _ in range(self.done):
            lengths, ids = np.load(file), np.load(file)
            yield np.split(ids, np.cumsum(lengths)[:-1]) if len(lengths) else []

    def _save(self) -> None:
        self._sync()
        ends: dict[str, Any] = {name: file.tell() for name, file in self._files.items()}
        write_json(self._state_path, {"done": self.done, "sums": self.sums, "ends": ends})

    def _sync(self) -> None:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())


def _rest(split: str) -> str:
    return f"{split} rest"


def _opened(path: Path, end: int) -> BinaryIO:
    """The file, cut to `end` bytes, ready to be appended to."""
    path.touch()
    file = path.open("r+b")
    file.truncate(end)
    file.seek(end)
    return file
