"""Drops duplicates and contamination, copies question titles and tags to answers, and writes the shards."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.arrays import Codes
from corpora.build.exact_duplicates import DUPLICATES, JOINED, rows_of_part
from corpora.build.part import DICTIONARY_COLUMNS, POSTS, POSTS_PER_GROUP, dropped_post, part_folder
from corpora.build.step import Step
from corpora.config import CorpusConfig
from corpora.contamination.audit import load_evaluation_index
from corpora.contamination.evaluation_index import REASONS as CONTAMINATION_REASONS
from corpora.contamination.evaluation_index import EvaluationIndex
from corpora.post import SCHEMA
from corpora.post_columns import read_columns

# Shape letters: N posts of a part.

COUNTS_FILE = "{:05d}.json"


class WriteShard(Step):
    """Task N writes posts-NNNNN.parquet from part N, unless no post of it is kept, and a file of counts."""

    name = "write shard"

    def __init__(self, scratch: Path, out: Path, ranges: int, config: CorpusConfig, labels: Path | None) -> None:
        """`labels` is the labelled set that config.decontaminate_against names."""
        super().__init__()
        self.scratch, self.out, self.ranges, self.config, self.labels = scratch, out, ranges, config, labels

    def run(self, data: Any = None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Write shard `rank`."""
        source = pq.ParquetFile(part_folder(self.scratch / "parts", rank) / POSTS, pre_buffer=False)
        joined = rows_of_part(self.scratch / "ranges", JOINED, self.ranges, rank)
        reasons_N = self._reasons(rank, source.metadata.num_rows)
        partial = self.out / f"posts-{rank:05d}.partial"
        characters, dropped = 0, list[dict[str, str]]()
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd", use_dictionary=DICTIONARY_COLUMNS) as writer:
            start = 0
            for batch in source.iter_batches(batch_size=POSTS_PER_GROUP, use_threads=False):  # a thread takes memory
                reasons = reasons_N[start : start + batch.num_rows]
                if self.config.keep_dropped:
                    dropped += _dropped(batch, reasons)
                table = pa.Table.from_batches([batch])
                characters += _characters(table.filter(pa.array(reasons == 0)))
                table = _with_questions(table, joined, start).filter(pa.array(reasons == 0))
                if table.num_rows:
                    writer.write_table(table)
                start += batch.num_rows
        self._finish(rank, partial, reasons_N, characters, dropped)
        yield from ()

    def _reasons(self, rank: int, count: int) -> Codes:
        """For each post the index in REASONS of why it is dropped; 0 where it is kept."""
        reasons_N = np.zeros(count, np.uint8)
        reasons_N[rows_of_part(self.scratch / "ranges", DUPLICATES, self.ranges, rank)["row"].to_numpy()] = 1
        if self.config.near_duplicates:
            from corpora.build.near_duplicates import near_duplicates  # takes a second to import

            kept = np.flatnonzero(reasons_N == 0)
            reasons_N[kept[near_duplicates(self.scratch, rank)]] = 2
        if self.labels:
            index = _evaluation_index(self.labels)
            path = part_folder(self.scratch / "parts", rank) / POSTS
            found = [np.empty(0, np.uint8), *(index.find(posts).reasons_N for _, posts in read_columns(path))]
            found_N = np.concatenate(found)
            reasons_N = np.where((reasons_N == 0) & (found_N > 0), found_N + FIRST_CONTAMINATION - 1, reasons_N)
        return reasons_N

    def _finish(
        self, rank: int, partial: Path, reasons_N: Codes, characters: int, dropped: list[dict[str, str]]
    ) -> None:
        """Rename the shard to its final name, and write the counts last."""
        counts = np.bincount(reasons_N, minlength=len(REASONS)).tolist()
        if counts[0]:
            partial.rename(partial.with_suffix(".parquet"))
        else:
            partial.unlink()
        folder = self.scratch / "shards"
        folder.mkdir(parents=True, exist_ok=True)
        if self.config.keep_dropped:
            text = "".join(json.dumps(post, ensure_ascii=False) + "\n" for post in dropped)
            (folder / f"{rank:05d}.jsonl").write_text(text, "utf-8")
        totals = {"kept": counts[0], "characters": characters}
        totals["dropped"] = {name: count for name, count in zip(REASONS[1:], counts[1:], strict=True) if count}
        (folder / COUNTS_FILE.format(rank)).write_text(json.dumps(totals))


REASONS = ("", "duplicate", "near_duplicate", *CONTAMINATION_REASONS[1:])
"""The index is the code of the reason; 0 is a post that is kept."""
FIRST_CONTAMINATION = 3


@lru_cache(maxsize=1)
def _evaluation_index(labels: Path) -> EvaluationIndex:
    """The labelled set's index, built once per process."""
    return load_evaluation_index(labels)


def _with_questions(table: pa.Table, joined: pa.Table, start: int) -> pa.Table:
    """The posts from row `start` of the part, answers with title and tags of their question where it is known."""
    rows = joined["row"].to_numpy().astype(np.int64) - start
    here = (rows >= 0) & (rows < table.num_rows)
    if not here.any():
        return table
    joined_rows = np.full(table.num_rows, -1)
    joined_rows[rows[here]] = np.flatnonzero(here)
    found = pa.array(joined_rows, mask=joined_rows < 0)
    for name in ("title", "tags"):
        column = pc.coalesce(joined[name].take(found), table[name])
        table = table.set_column(table.schema.get_field_index(name), SCHEMA.field(name), column)
    return table


def _characters(table: pa.Table) -> int:
    """Characters of the posts' whole texts."""
    texts = pc.utf8_length(table["text"]).to_numpy().astype(np.int64)
    titles = np.where(np.asarray(pc.equal(table["kind"], "answer")), 0, pc.utf8_length(table["title"]).to_numpy())
    return int((texts + titles + ((texts > 0) & (titles > 0))).sum())


def _dropped(batch: pa.RecordBatch, reasons: Codes) -> list[dict[str, str]]:
    columns = [batch[name].filter(pa.array(reasons > 0)).to_pylist() for name in ("id", "kind", "title", "text")]
    names = (REASONS[reason] for reason in reasons[reasons > 0].tolist())
    return [dropped_post(reason, *values) for reason, *values in zip(names, *columns, strict=True)]
