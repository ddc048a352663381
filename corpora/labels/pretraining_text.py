"""The posts that a model may read before it is tested, columnwise and a shard at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.balance import Balance
from corpora.config import LabelConfig
from corpora.contamination.held_out import REASONS, HeldOutIndex
from corpora.contamination.key_index import first_places
from corpora.labels.splits import NO_DATE, drop_coded, moment
from corpora.post import POSTS_PER_GROUP, SCHEMA
from corpora.post_columns import read_columns
from stackbert.core.workers import map_in_order, processes_for

# Shape letters: N posts.

ALL_REASONS = (*REASONS, "no_date", "future", "duplicate")
"""The place is the code; where several hold, the first is given."""
NO_DATE_CODE, FUTURE, DUPLICATE = range(len(REASONS), len(ALL_REASONS))


def write_pretraining(
    paths: Sequence[Path], folder: Path, held_out: HeldOutIndex, before: int | None, config: LabelConfig
) -> Balance:
    """Write the posts of the shards `paths` that give no held-out one away, each text once; returns the balance.

    With `before`, a moment, only posts created before it; those without a date are left out too. A shard is written
    for each that is read and keeps a post, so their bytes do not depend on the processes. Of texts that are equal but
    for case, line breaks and punctuation, the first stays: memory holds 8 bytes a post for that, half a gigabyte for
    the 65 million of Stack Overflow.
    """
    processes, balance = processes_for(paths, config.processes), Balance(folder.name)
    reasons_N, keys_N, starts = [], [], [0]
    for reasons, keys in map_in_order(partial(_judge, held_out=held_out, before=before), paths, processes):
        reasons_N.append(reasons)
        keys_N.append(keys)
        starts.append(starts[-1] + len(reasons))
        drop_coded(balance, reasons, ALL_REASONS)
    kept_N = np.concatenate(reasons_N) == 0
    new_N = first_places(np.where(kept_N, np.concatenate(keys_N), np.uint64(0)))
    del keys_N
    kept_N &= new_N
    balance.kept = int(np.count_nonzero(kept_N))
    balance.drop(ALL_REASONS[DUPLICATE], int(np.count_nonzero(~new_N)))
    folder.mkdir(parents=True)
    work = [
        _Copy(path, np.packbits(kept_N[start:end]), folder / f"posts-{number:05d}.parquet")
        for number, (path, start, end) in enumerate(zip(paths, starts, starts[1:], strict=False))
        if kept_N[start:end].any()
    ]
    for _ in map_in_order(_copy, work, processes):
        pass
    return balance


def _judge(path: Path, held_out: HeldOutIndex, before: int | None) -> tuple[np.ndarray, np.ndarray]:
    """For each post of a shard, its place in ALL_REASONS and the key of its whole text."""
    reasons_N, keys_N = [np.empty(0, np.uint8)], [np.empty(0, np.uint64)]
    for batch, posts in read_columns(path):
        reasons = held_out.find(posts).reasons_N
        if before is not None:
            moments = np.array([moment(created) for created in batch["created"].to_pylist()])
            reasons[(reasons == 0) & (moments == NO_DATE)] = NO_DATE_CODE
            reasons[(reasons == 0) & (moments >= before)] = FUTURE
        reasons_N.append(reasons)
        keys_N.append(posts.keys.wholes_N)
    return np.concatenate(reasons_N), np.concatenate(keys_N)


@dataclass(frozen=True)
class _Copy:
    """A shard to be written with those posts of another that stay."""

    source: Path
    kept: np.ndarray
    """A bit a post."""
    target: Path


def _copy(work: _Copy) -> None:
    start = 0
    with pq.ParquetWriter(work.target, SCHEMA, compression="zstd") as writer:
        for batch in pq.ParquetFile(work.source).iter_batches(batch_size=POSTS_PER_GROUP):
            kept = np.unpackbits(work.kept[start // 8 :], count=start % 8 + batch.num_rows)[start % 8 :].astype(bool)
            table = pa.Table.from_batches([batch.filter(pa.array(kept))]).select(SCHEMA.names).cast(SCHEMA)
            if table.num_rows:
                writer.write_table(table)
            start += batch.num_rows
