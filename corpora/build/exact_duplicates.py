"""Finds across all parts which texts are duplicates, and which question each answer belongs to.

A task reads one range of the hashes of every part. The number of ranges grows with the number of parts, so a task's
memory does not depend on the size of the corpus.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpora.arrays import Indices
from corpora.build.part import ANSWERS, KEYS, QUESTIONS, part_folder, read_range
from corpora.build.step import Step

# Shape letters: N posts of a range of hashes, A answers, Q questions.

PARTS_PER_RANGE = 8  # a range takes as much memory as 8 whole parts: some 20 MB
DUPLICATES, JOINED = "duplicates", "joined"
NUM_HASHES = 2**64

DUPLICATE_SCHEMA = pa.schema([("part", pa.uint64()), ("row", pa.uint32())])
"""Sorted by part, so that read_range finds the rows of one part."""
JOINED_SCHEMA = pa.schema([*DUPLICATE_SCHEMA, ("title", pa.string()), ("tags", pa.list_(pa.string()))])


class FindDuplicates(Step):
    """Writes, for a range of hashes, the rows with a text that an earlier row has, and the answers' titles and tags."""

    name = "find duplicates"

    def __init__(self, parts: Path, count: int, folder: Path) -> None:
        super().__init__()
        self.parts, self.count, self.folder = parts, count, folder

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Search range `rank` of `world_size`."""
        first, last = NUM_HASHES * rank // world_size, NUM_HASHES * (rank + 1) // world_size
        _write(self.folder / f"{DUPLICATES}-{rank:05d}.arrow", DUPLICATE_SCHEMA, self._duplicates(first, last))
        _write(self.folder / f"{JOINED}-{rank:05d}.arrow", JOINED_SCHEMA, self._joined(first, last))
        yield from ()

    def _duplicates(self, first: int, last: int) -> list[pa.Array]:
        """Part and row of each post that is not the first with its text."""
        table, part_N = self._gather(KEYS, first, last)
        high_N, low_N, row_N = (table[name].to_numpy() for name in ("bucket", "low", "row"))
        order_N = np.lexsort((row_N, part_N, low_N, high_N))
        high_N, low_N = high_N[order_N], low_N[order_N]
        same_N = np.zeros(len(order_N), bool)
        same_N[1:] = (high_N[1:] == high_N[:-1]) & (low_N[1:] == low_N[:-1])
        found = np.sort(order_N[same_N])  # rows were gathered part by part, so this is the order of the parts
        return [pa.array(part_N[found]), pa.array(row_N[found])]

    def _joined(self, first: int, last: int) -> list[pa.Array]:
        """Part, row, title and tags of each answer whose question is in the corpus."""
        questions, _ = self._gather(QUESTIONS, first, last)
        answers, part_A = self._gather(ANSWERS, first, last)
        found_A = pc.index_in(answers["parent_id"], questions["id"].combine_chunks())
        known_A = np.asarray(found_A.is_valid())
        taken = questions.take(found_A.drop_null()).combine_chunks()
        rows = pa.array(answers["row"].to_numpy()[known_A])
        columns = [_one_array(taken[name]) for name in ("title", "tags")]
        return [pa.array(part_A[known_A]), rows, *columns]

    def _gather(self, name: str, first: int, last: int) -> tuple[pa.Table, Indices]:
        """A range of every part's table `name`, concatenated, and the part of each row."""
        tables = [read_range(part_folder(self.parts, part) / name, first, last) for part in range(self.count)]
        lengths = [table.num_rows for table in tables]
        return pa.concat_tables(tables), np.repeat(np.arange(self.count, dtype=np.uint64), lengths)


def range_count(parts: int) -> int:
    """How many ranges the hashes of `parts` parts are divided into."""
    return -(-parts // PARTS_PER_RANGE)


def rows_of_part(folder: Path, name: str, ranges: int, part: int) -> pa.Table:
    """The rows that all ranges found for a part; `name` is DUPLICATES or JOINED."""
    return pa.concat_tables(
        [read_range(folder / f"{name}-{number:05d}.arrow", part, part + 1) for number in range(ranges)]
    )


def _write(path: Path, schema: pa.Schema, arrays: list[pa.Array]) -> None:
    """Write a table sorted by part, whole or not at all."""
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
