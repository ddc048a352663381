"""Writes the posts for pretraining: without contamination of the evaluation posts, and without duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.arrays import Codes, Keys
from corpora.balance import Balance
from corpora.config import LabelConfig
from corpora.contamination.evaluation_index import REASONS, EvaluationIndex
from corpora.contamination.key_index import first_occurrences
from corpora.labels.splits import NO_DATE, drop_coded, moment
from corpora.post import POSTS_PER_GROUP, SCHEMA
from corpora.post_columns import read_columns
from stackbert.core.progress import Progress
from stackbert.core.workers import map_in_order, processes_for

# Shape letters: N posts.

ALL_REASONS = (*REASONS, "no_date", "future", "duplicate")
"""The index is the code of the reason; if several apply, the first is used."""
NO_DATE_CODE, FUTURE, DUPLICATE = range(len(REASONS), len(ALL_REASONS))


def write_pretraining(
    paths: Sequence[Path], folder: Path, evaluation: EvaluationIndex, before: int | None, config: LabelConfig
) -> Balance:
    """Write the posts of `paths` that contaminate no evaluation post, without duplicates; returns the balance.

    With `before` (see moment), only posts created before it; with split 'time', none without a date. Each input shard
    gives one output shard, unless no post of it is kept, so the bytes do not depend on the number of processes.
    Duplicates are texts that are equal except for case, line breaks and punctuation; memory holds 8 bytes per post to
    find them, half a gigabyte for the 65 million posts of Stack Overflow.
    """
    processes, balance = processes_for(paths, config.processes), Balance(folder.name)
    reasons_N, keys_N, starts = [], [], [0]
    classify = partial(_classify, evaluation=evaluation, before=before, needs_date=config.split == "time")
    with Progress("finding contamination", len(paths), unit="shards") as progress:
        for reasons, keys in map_in_order(classify, paths, processes):
            reasons_N.append(reasons)
            keys_N.append(keys)
            starts.append(starts[-1] + len(reasons))
            drop_coded(balance, reasons, ALL_REASONS)
            progress.advance()
    kept_N = np.concatenate(reasons_N) == 0
    new_N = first_occurrences(np.where(kept_N, np.concatenate(keys_N), np.uint64(0)))
    del keys_N
    kept_N &= new_N
    balance.kept = int(np.count_nonzero(kept_N))
    balance.drop(ALL_REASONS[DUPLICATE], int(np.count_nonzero(~new_N)))
    folder.mkdir(parents=True)
    copies = [
        _Copy(path, np.packbits(kept_N[start:end]), folder / f"posts-{number:05d}.parquet")
        for number, (path, start, end) in enumerate(zip(paths, starts, starts[1:], strict=False))
        if kept_N[start:end].any()
    ]
    with Progress("writing pretraining text", len(copies), unit="shards") as progress:
        for _ in map_in_order(_write_copy, copies, processes):
            progress.advance()
    return balance


def _classify(path: Path, evaluation: EvaluationIndex, before: int | None, needs_date: bool) -> tuple[Codes, Keys]:
    """For each post of a shard, its index in ALL_REASONS and the key of its whole text."""
    reasons_N, keys_N = [np.empty(0, np.uint8)], [np.empty(0, np.uint64)]
    for batch, posts in read_columns(path):
        reasons = evaluation.find(posts).reasons_N
        if before is not None:
            moments = np.array([moment(created) for created in batch["created"].to_pylist()])
            if needs_date:
                reasons[(reasons == 0) & (moments == NO_DATE)] = NO_DATE_CODE
            reasons[(reasons == 0) & (moments >= before)] = FUTURE
        reasons_N.append(reasons)
        keys_N.append(posts.keys.wholes_N)
    return np.concatenate(reasons_N), np.concatenate(keys_N)


@dataclass(frozen=True)
class _Copy:
    """One output shard: the kept posts of an input shard."""

    source: Path
    kept: Codes
    """One bit per post."""
    target: Path


def _write_copy(copy: _Copy) -> None:
    start, source = 0, pq.ParquetFile(copy.source)
    # corpora of earlier versions have fewer columns, which stay absent: null would say that no post has a value
    schema = pa.schema([field for field in SCHEMA if field.name in source.schema_arrow.names])
    with pq.ParquetWriter(copy.target, schema, compression="zstd") as writer:
        for batch in source.iter_batches(batch_size=POSTS_PER_GROUP):
            kept = np.unpackbits(copy.kept[start // 8 :], count=start % 8 + batch.num_rows)[start % 8 :].astype(bool)
            table = pa.Table.from_batches([batch.filter(pa.array(kept))]).select(schema.names).cast(schema)
            if table.num_rows:
                writer.write_table(table)
            start += batch.num_rows
