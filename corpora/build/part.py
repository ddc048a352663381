"""One part of a corpus in the making: its posts, the dropped rows, and the tables that other parts need.

A part is a folder: posts.parquet, keys.arrow (hashes of whole texts, to find duplicates), questions.arrow and
answers.arrow (to give answers the title and tags of their question), counts.json, and where there are any,
rejected.jsonl and dropped.jsonl. The first column of each .arrow table is a hash by which its rows are sorted, so that
a range of hashes can be read without the rest.
"""

import json
import shutil
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.arrays import Keys
from corpora.build.contents import Contents
from corpora.post import SCHEMA, whole_text
from corpora.raw_post import RawPost
from corpora.sources.source import BAD_ROW, Dropped
from corpora.text_keys import exact_key
from stackbert.core.errors import StackbertError

# Shape letters: N posts, Q questions, A answers.

POSTS, COUNTS = "posts.parquet", "counts.json"
KEYS, QUESTIONS, ANSWERS = "keys.arrow", "questions.arrow", "answers.arrow"
REJECTED, DROPPED = "rejected.jsonl", "dropped.jsonl"
POSTS_PER_GROUP = 2_000  # held in memory: some 8 MB of objects
BAD_ROWS_PER_CHECK = 1_000  # after so many bad rows, a file that is mostly bad rows is given up early
DICTIONARY_COLUMNS = ["kind", "license", "author", "tags.list.element"]  # have few distinct values

_columns_of = attrgetter(*SCHEMA.names)


class PartWriter:
    """Writes one part; a context manager. The folder appears when `finish` is called."""

    def __init__(self, folder: Path, number: int, keep_dropped: bool) -> None:
        self.folder = part_folder(folder, number)
        self._staging = self.folder.with_name(self.folder.name + ".partial")
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        self.dropped: Counter[str] = Counter()
        self.contents = Contents()
        self.kept = 0
        self.removed_characters = 0
        self._keep_dropped = keep_dropped
        self._files: dict[str, IO[str]] = {}
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[tuple[Any, ...]] = []
        self._keys = bytearray()
        self._questions: list[tuple[int, str, str, tuple[str, ...]]] = []
        self._answers: list[tuple[int, str, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def drop(self, row: Dropped) -> None:
        """Count a dropped row; a bad row is written to rejected.jsonl, any other to dropped.jsonl if configured."""
        self.dropped[row.reason] += 1
        if row.reason == BAD_ROW:
            self._append_line(REJECTED, asdict(row))
            rejected = self.dropped[BAD_ROW]
            if rejected % BAD_ROWS_PER_CHECK == 0 and rejected > (self.kept + self.dropped.total()) / 2:
                raise StackbertError(
                    f"{rejected:,} of {self.kept + self.dropped.total():,} rows cannot be read, so this is another "
                    f"format or a damaged file; the last: {row.where}: {row.detail}: {row.excerpt[:80]!r}"
                )
        elif self._keep_dropped:
            self._append_line(DROPPED, {"reason": row.reason, "where": row.where})

    def drop_post(self, reason: str, post: RawPost) -> None:
        """Count a post that a filter drops."""
        self.dropped[reason] += 1
        if self._keep_dropped:
            self._append_line(DROPPED, dropped_post(reason, post.id, post.kind, post.title, post.text))

    def record_question(self, post: RawPost) -> None:
        """Record a question's title and tags for its answers, whether or not the question itself is kept."""
        self._questions.append((hash_bucket(post.id), post.id, post.title, post.tags))

    def add(self, post: RawPost) -> None:
        """Write a post; an answer gets its title and tags later, from its question."""
        if post.parent_id:
            self._answers.append((hash_bucket(post.parent_id), post.parent_id, self.kept))
        self._keys += exact_key(whole_text(post.kind, post.title, post.text))
        self._rows.append(_columns_of(post))
        self.kept += 1
        if len(self._rows) == POSTS_PER_GROUP:
            self._flush()

    def finish(self) -> None:
        """Write the remaining rows and the tables, and rename the staging folder to the part's."""
        self._flush()
        self._close()
        self._write_keys()
        buckets_Q, *columns = zip(*self._questions, strict=True) if self._questions else ((), (), (), ())
        _write_sorted(self._staging / QUESTIONS, buckets_Q, QUESTION_SCHEMA, columns)
        buckets_A, *columns = zip(*self._answers, strict=True) if self._answers else ((), (), ())
        _write_sorted(self._staging / ANSWERS, buckets_A, ANSWER_SCHEMA, columns)
        counts: dict[str, Any] = {"kept": self.kept, "dropped": dict(sorted(self.dropped.items()))}
        counts["contents"] = self.contents.counts()
        if self.removed_characters:
            counts["removed_characters"] = self.removed_characters
        (self._staging / COUNTS).write_text(json.dumps(counts))
        shutil.rmtree(self.folder, ignore_errors=True)  # left by a run that stopped before the task was marked finished
        self._staging.rename(self.folder)

    def _close(self) -> None:
        if self._writer:
            self._writer.close()
        for file in self._files.values():
            file.close()

    def _append_line(self, name: str, values: dict[str, Any]) -> None:
        if name not in self._files:
            self._files[name] = (self._staging / name).open("w", encoding="utf-8")
        self._files[name].write(json.dumps(values, ensure_ascii=False) + "\n")

    def _flush(self) -> None:
        """Write the rows in memory as a row group; the first call writes a file even without rows."""
        if not self._rows and self._writer:
            return
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(SCHEMA)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
        self._writer = self._writer or pq.ParquetWriter(
            self._staging / POSTS, SCHEMA, compression="lz4", use_dictionary=False, write_statistics=False
        )
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        self._rows.clear()

    def _write_keys(self) -> None:
        """Each post's 128-bit key as two columns, the upper half as the sort key."""
        high_N, low_N = np.frombuffer(bytes(self._keys), ">u8").reshape(-1, 2).astype(np.uint64).T
        rows_N = np.arange(self.kept, dtype=np.uint32)
        _write_sorted(self._staging / KEYS, high_N, KEY_SCHEMA, [low_N, rows_N])


KEY_SCHEMA = pa.schema([("bucket", pa.uint64()), ("low", pa.uint64()), ("row", pa.uint32())])
QUESTION_SCHEMA = pa.schema(
    [("bucket", pa.uint64()), ("id", pa.string()), ("title", pa.string()), ("tags", pa.list_(pa.string()))]
)
ANSWER_SCHEMA = pa.schema([("bucket", pa.uint64()), ("parent_id", pa.string()), ("row", pa.uint32())])


def part_folder(folder: Path, number: int) -> Path:
    """The folder of part `number`, below the folder of all parts."""
    return folder / f"{number:05d}"


def hash_bucket(post_id: str) -> int:
    """64-bit hash bucket of a post id."""
    return zlib.crc32(post_id.encode()) << 32


def dropped_post(reason: str, post_id: str, kind: str, title: str, text: str) -> dict[str, str]:
    """A line of dropped.jsonl for a post."""
    return {"reason": reason, "id": post_id, "kind": kind, "title": title, "text": text}


def read_range(path: Path, first: int, last: int) -> pa.Table:
    """The rows of a sorted .arrow table whose first column is at least `first` and below `last`.

    The file is memory-mapped to find them, and they are copied: many files that stay mapped would count as memory.
    """
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        sorted_by = table.column(0).to_numpy() if table.num_rows else np.empty(0, np.uint64)
        start = int(np.searchsorted(sorted_by, np.uint64(first), "left"))
        end = int(np.searchsorted(sorted_by, np.uint64(last - 1), "right"))
        return table.take(pa.array(np.arange(start, end)))


def _write_sorted(path: Path, buckets: Keys | Sequence[int], schema: pa.Schema, columns: Sequence[Any]) -> None:
    """Write a table with `buckets` as its first column, sorted by it; equal buckets keep their order."""
    buckets_N = np.asarray(buckets, np.uint64)
    arrays = [pa.array(values, field.type) for values, field in zip((buckets_N, *columns), schema, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=schema).take(pa.array(np.argsort(buckets_N, kind="stable")))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table.combine_chunks())
