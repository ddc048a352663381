"""A part of a corpus on its way: its posts, what was left out, and what other parts need to know of it.

A part is a folder: posts.parquet, keys.arrow (of whole texts, for duplicates), questions.arrow and answers.arrow (to
give answers their question's title and tags), counts.json, and where there are any rejected.jsonl and dropped.jsonl.
The three tables are sorted by a hash, so that a range of it can be read without the rest.
"""

import json
import shutil
import zlib
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.data import Document

from corpora.post import SCHEMA, whole_text
from corpora.sources.source import BAD_ROW, Dropped
from corpora.text_keys import exact_key
from stackbert.core.errors import StackbertError

# Shape letters: N posts, Q questions, A answers.

POSTS, COUNTS = "posts.parquet", "counts.json"
KEYS, QUESTIONS, ANSWERS = "keys.arrow", "questions.arrow", "answers.arrow"
REJECTED, DROPPED = "rejected.jsonl", "dropped.jsonl"
POSTS_PER_GROUP = 2_000  # what is held in memory: some 8 MB of objects
ENOUGH_TO_JUDGE = 1_000  # rows set aside before a hopeless file is given up early
REPEATING = ["kind", "license", "author", "tags.list.element"]  # columns that a dictionary makes smaller


class PartWriter:
    """Writes one part; the folder appears when it is whole."""

    def __init__(self, folder: Path, number: int, keep_dropped: bool) -> None:
        self.folder = part_folder(folder, number)
        self._staging = self.folder.with_name(self.folder.name + ".partial")
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True)
        self.dropped: Counter[str] = Counter()
        self.kept = 0
        self._keep_dropped = keep_dropped
        self._files: dict[str, IO[str]] = {}
        self._writer: pq.ParquetWriter | None = None
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
        self._ids, self._texts = self._columns["id"], self._columns["text"]
        self._others = [(values.append, name) for name, values in self._columns.items() if name not in ("id", "text")]
        self._keys = bytearray()
        self._questions: list[tuple[int, str, str, tuple[str, ...]]] = []
        self._answers: list[tuple[int, str, int]] = []

    def drop(self, row: Dropped) -> None:
        """Count a row; one that could not be read is written aside, and any other on request."""
        self.dropped[row.reason] += 1
        if row.reason == BAD_ROW:
            self._note(REJECTED, asdict(row))
            rejected = self.dropped[BAD_ROW]
            if rejected % ENOUGH_TO_JUDGE == 0 and rejected > (self.kept + self.dropped.total()) / 2:
                raise StackbertError(
                    f"{rejected:,} of {self.kept + self.dropped.total():,} rows cannot be read, so this is another "
                    f"format or a damaged file; the last: {row.where}: {row.detail}: {row.excerpt[:80]!r}"
                )
        elif self._keep_dropped:
            self._note(DROPPED, {"reason": row.reason, "where": row.where})

    def drop_post(self, reason: str, post: Document) -> None:
        """Count a post that a filter leaves out."""
        self.dropped[reason] += 1
        if self._keep_dropped:
            self._note(DROPPED, dropped_post(reason, post.id, post.metadata["kind"], post.metadata["title"], post.text))

    def note_question(self, post: Document) -> None:
        """Keep a question's title and tags for its answers, whether or not the question itself stays."""
        self._questions.append((place_of(post.id), post.id, post.metadata["title"], post.metadata["tags"]))

    def add(self, post: Document) -> None:
        """Write a post; where it is an answer, its title and tags are still to come."""
        metadata = post.metadata
        if metadata["parent_id"]:
            self._answers.append((place_of(metadata["parent_id"]), metadata["parent_id"], self.kept))
        self._keys += exact_key(whole_text(metadata["kind"], metadata["title"], post.text))
        self._ids.append(post.id)
        self._texts.append(post.text)
        for append, name in self._others:
            append(metadata[name])
        self.kept += 1
        if len(self._ids) == POSTS_PER_GROUP:
            self._flush()

    def finish(self) -> None:
        """Write what is left, and show the part."""
        self._flush()
        self.close()
        self._write_keys()
        places_Q, *columns = zip(*self._questions, strict=True) if self._questions else ((), (), (), ())
        _write_sorted(self._staging / QUESTIONS, places_Q, QUESTION_SCHEMA, columns)
        places_A, *columns = zip(*self._answers, strict=True) if self._answers else ((), (), ())
        _write_sorted(self._staging / ANSWERS, places_A, ANSWER_SCHEMA, columns)
        counts = {"kept": self.kept, "dropped": dict(sorted(self.dropped.items()))}
        (self._staging / COUNTS).write_text(json.dumps(counts))
        shutil.rmtree(self.folder, ignore_errors=True)  # there where a run stopped before the task was marked as done
        self._staging.rename(self.folder)

    def close(self) -> None:
        """Let go of the files, also of a part that was not finished."""
        if self._writer:
            self._writer.close()
        for file in self._files.values():
            file.close()

    def _note(self, name: str, values: dict[str, Any]) -> None:
        if name not in self._files:
            self._files[name] = (self._staging / name).open("w", encoding="utf-8")
        self._files[name].write(json.dumps(values, ensure_ascii=False) + "\n")

    def _flush(self) -> None:
        if not self._ids and self._writer:
            return
        arrays = [pa.array(values, field.type) for values, field in zip(self._columns.values(), SCHEMA, strict=True)]
        self._writer = self._writer or pq.ParquetWriter(
            self._staging / POSTS, SCHEMA, compression="lz4", use_dictionary=False, write_statistics=False
        )
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        for values in self._columns.values():
            values.clear()

    def _write_keys(self) -> None:
        high_N, low_N = np.frombuffer(bytes(self._keys), ">u8").reshape(-1, 2).astype(np.uint64).T
        columns = [low_N, np.arange(self.kept, dtype=np.uint32)]
        _write_sorted(self._staging / KEYS, high_N, KEY_SCHEMA, columns)


KEY_SCHEMA = pa.schema([("place", pa.uint64()), ("low", pa.uint64()), ("row", pa.uint32())])
QUESTION_SCHEMA = pa.schema(
    [("place", pa.uint64()), ("id", pa.string()), ("title", pa.string()), ("tags", pa.list_(pa.string()))]
)
ANSWER_SCHEMA = pa.schema([("place", pa.uint64()), ("parent_id", pa.string()), ("row", pa.uint32())])


def part_folder(folder: Path, number: int) -> Path:
    """Where a part stands below the folder of all."""
    return folder / f"{number:05d}"


def place_of(post_id: str) -> int:
    """Where an id falls among 2**64 places."""
    return zlib.crc32(post_id.encode()) << 32


def dropped_post(reason: str, post_id: str, kind: str, title: str, text: str) -> dict[str, str]:
    """A post that was left out, as dropped.jsonl has it."""
    return {"reason": reason, "id": post_id, "kind": kind, "title": title, "text": text}


def read_range(path: Path, first: int, last: int) -> pa.Table:
    """The rows of a part's table whose place is from `first` to below `last`.

    The file is mapped to find them, and they are copied: many files that stay mapped would count as memory.
    """
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        places = table["place"].to_numpy() if table.num_rows else np.empty(0, np.uint64)
        start = int(np.searchsorted(places, np.uint64(first), "left"))
        end = int(np.searchsorted(places, np.uint64(last - 1), "right"))
        return table.take(pa.array(np.arange(start, end)))


def _write_sorted(path: Path, places: Any, schema: pa.Schema, columns: Any) -> None:
    """Write a table by ascending place; what has the same place keeps its order."""
    places = np.asarray(places, np.uint64)
    arrays = [pa.array(values, field.type) for values, field in zip((places, *columns), schema, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=schema).take(pa.array(np.argsort(places, kind="stable")))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(table.combine_chunks())
