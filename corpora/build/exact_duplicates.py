"""What only all parts together tell: which texts were there before, and which question an answer belongs to.

A task takes one range of the hashes, of every part, so its memory does not depend on the corpus's size: with more parts
there are more ranges.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datatrove.pipeline.base import PipelineStep

from corpora.build.part import ANSWERS, KEYS, QUESTIONS, part_folder, read_range

# Shape letters: N posts of a range of hashes, A answers, Q questions.

PARTS_PER_RANGE = 8  # a range holds of each part so much that all of it is what 8 parts hold: some 20 MB
REPEATS, JOINED = "repeats", "joined"
PLACES = 2**64

REPEAT_SCHEMA = pa.schema([("place", pa.uint64()), ("row", pa.uint32())])
"""The place is the part's number, so that read_range finds a part's."""
JOINED_SCHEMA = pa.schema([*REPEAT_SCHEMA, ("title", pa.string()), ("tags", pa.list_(pa.string()))])


class FindRepeats(PipelineStep):
    """Writes, for a range of the hashes, the rows whose text stands before, and the answers' titles and tags."""

    type, name = "corpora", "repeats"

    def __init__(self, parts: Path, count: int, folder: Path) -> None:
        super().__init__()
        self.parts, self.count, self.folder = parts, count, folder

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Look through the range with number `rank` of `world_size`."""
        first, last = PLACES * rank // world_size, PLACES * (rank + 1) // world_size
        _write(self.folder / f"{REPEATS}-{rank:05d}.arrow", REPEAT_SCHEMA, self._repeats(first, last))
        _write(self.folder / f"{JOINED}-{rank:05d}.arrow", JOINED_SCHEMA, self._joined(first, last))
        yield from ()

    def _repeats(self, first: int, last: int) -> list[pa.Array]:
        """Part and row of each post that is not the first with its text."""
        table, part_N = self._gather(KEYS, first, last)
        high_N, low_N, row_N = (table[name].to_numpy() for name in ("place", "low", "row"))
        order_N = np.lexsort((row_N, part_N, low_N, high_N))
        high_N, low_N = high_N[order_N], low_N[order_N]
        same_N = np.zeros(len(order_N), bool)
        same_N[1:] = (high_N[1:] == high_N[:-1]) & (low_N[1:] == low_N[:-1])
        found = np.sort(order_N[same_N])  # gathered part by part, so this is the parts' order
        return [pa.array(part_N[found]), pa.array(row_N[found])]

    def _joined(self, first: int, last: int) -> list[pa.Array]:
        """Part, row, title and tags of each answer whose question is known."""
        questions, _ = self._gather(QUESTIONS, first, last)
        answers, part_A = self._gather(ANSWERS, first, last)
        found_A = pc.index_in(answers["parent_id"], questions["id"].combine_chunks())
        known_A = np.asarray(found_A.is_valid())
        taken = questions.take(found_A.drop_null()).combine_chunks()
        rows = pa.array(answers["row"].to_numpy()[known_A])
        columns = [_one_array(taken[name]) for name in ("title", "tags")]
        return [pa.array(part_A[known_A]), rows, *columns]

    def _gather(self, name: str, first: int, last: int) -> tuple[pa.Table, np.ndarray]:
        """A range of every part's table, one below the other, and the part of each row."""
        tables = [read_range(part_folder(self.parts, part) / name, first, last) for part in range(self.count)]
        lengths = [table.num_rows for table in tables]
        return pa.concat_tables(tables), np.repeat(np.arange(self.count, dtype=np.uint64), lengths)


def range_count(parts: int) -> int:
    """How many ranges the hashes of so many parts are looked through in."""
    return -(-parts // PARTS_PER_RANGE)


def of_part(folder: Path, name: str, ranges: int, part: int) -> pa.Table:
    """What the ranges found for a part."""
    return pa.concat_tables(
        [read_range(folder / f"{name}-{number:05d}.arrow", part, part + 1) for number in range(ranges)]
    )


def _write(path: Path, schema: pa.Schema, arrays: list[pa.Array]) -> None:
    """Write a table, whole or not at all."""
    by_part = np.argsort(arrays[0].to_numpy(), kind="stable")
    columns = [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)]
    table = pa.Table.from_arrays(columns, schema=schema)
    partial = path.with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table.take(pa.array(by_part)).combine_chunks())
    partial.rename(path)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)
