"""Posts as columns: passes over a whole corpus read these, without an object per post."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.post import Post
from corpora.text_keys import BATCH_BYTES, TextKeys, text_keys

POSTS_PER_BATCH = 2_000
COLUMNS = ["id", "kind", "parent_id", "title", "text", "tags", "created", "url", "duplicate_of"]


@dataclass(frozen=True)
class PostColumns:
    """A batch of posts by column."""

    ids: Sequence[str]
    parents: Sequence[str | None]
    titles: Sequence[str]
    """Empty for an answer, whose title is its question's."""
    texts: Sequence[str]
    duplicates: Sequence[Sequence[str]]
    """Ids of the questions that each post was closed as a duplicate of."""
    sites: Sequence[str]
    """Host of each URL; empty without a URL."""

    @cached_property
    def keys(self) -> TextKeys:
        """Keys of the posts' texts, computed once."""
        return text_keys(self.titles, self.texts)

    def __len__(self) -> int:
        return len(self.ids)


def columns_of(batch: pa.RecordBatch) -> PostColumns:
    """The columns of an Arrow batch of posts."""
    kinds, titles, urls = (batch[name].to_pylist() for name in ("kind", "title", "url"))
    return PostColumns(
        ids=batch["id"].to_pylist(),
        parents=batch["parent_id"].to_pylist(),
        titles=["" if kind == "answer" else title for kind, title in zip(kinds, titles, strict=True)],
        texts=batch["text"].to_pylist(),
        duplicates=batch["duplicate_of"].to_pylist(),
        sites=[site_of(url) for url in urls],
    )


def columns_of_posts(posts: Sequence[Post]) -> PostColumns:
    """The columns of Post objects."""
    return PostColumns(
        ids=[post.id for post in posts],
        parents=[post.parent_id for post in posts],
        titles=["" if post.kind == "answer" else post.title for post in posts],
        texts=[post.text for post in posts],
        duplicates=[post.duplicate_of for post in posts],
        sites=[site_of(post.url) for post in posts],
    )


def site_of(url: str | None) -> str:
    """Host of a URL.

    >>> site_of("https://stackoverflow.com/q/11227809"), site_of(None)
    ('stackoverflow.com', '')
    """
    fields = (url or "").split("/", 3)
    return fields[2].casefold() if len(fields) > 2 else ""


def read_columns(shard: Path) -> Iterator[tuple[pa.RecordBatch, PostColumns]]:
    """Batches of a shard, as Arrow and as columns; memory stays at a few batches, or at one long post."""
    for batch in pq.ParquetFile(shard).iter_batches(batch_size=POSTS_PER_BATCH, columns=COLUMNS):
        ends = np.cumsum(pc.binary_length(batch["text"]).to_numpy(zero_copy_only=False))
        start = 0
        while start < batch.num_rows:
            before = ends[start - 1] if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, "right")))
            piece = batch.slice(start, end - start)
            yield piece, columns_of(piece)
            start = end


def count_tags(paths: Sequence[Path]) -> Counter[str]:
    """Tag -> number of questions and documents with it."""
    counts: Counter[str] = Counter()
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(columns=["kind", "tags"]):
            tags = pc.list_flatten(batch["tags"].filter(pc.not_equal(batch["kind"], "answer")))
            for entry in pc.value_counts(tags).to_pylist():
                counts[entry["values"]] += entry["counts"]
    return counts
