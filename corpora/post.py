"""Post, the record that every source is converted to, and the Parquet shards that every later stage reads."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stackbert.core.artifact import require_artifact
from stackbert.core.errors import StackbertError

PRETRAINING = "pretraining"
"""Folder of a labelled set with the posts for pretraining."""

POSTS_PER_SHARD = 100_000  # some 60 MB compressed
POSTS_PER_GROUP = 5_000  # held in memory: some 20 MB of objects

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("parent_id", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("score", pa.int32()),
        ("created", pa.string()),
        ("license", pa.string()),
        ("url", pa.string()),
        ("author", pa.string()),
        ("duplicate_of", pa.list_(pa.string())),
        ("accepted_answer_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class Post:
    """One question, answer or document, as plain text."""

    id: str
    """Unique in its corpus; the number on its site, else made from the content."""
    kind: str
    """'question', 'answer' or 'document'."""
    title: str
    """The title of a question or document; for an answer, the title of its question."""
    text: str
    """The body without the title; empty if a source has titles only."""
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    """Id of an answer's question; the answer has the question's tags."""
    score: int | None = None
    created: str | None = None
    """ISO 8601, as in the source."""
    license: str | None = None
    url: str | None = None
    author: str | None = None
    """The author's name, or number on the site, as in the source."""
    duplicate_of: tuple[str, ...] = ()
    """Ids of the questions that this one was closed as a duplicate of."""
    accepted_answer_id: str | None = None
    """Id of the answer that the question's author accepted."""

    @property
    def whole_text(self) -> str:
        """Title and body, as the tokenizer and the encoder read them; for an answer, the body alone."""
        return whole_text(self.kind, self.title, self.text)


def whole_text(kind: str, title: str, text: str) -> str:
    """Title and body on separate lines; for an answer, the body alone."""
    if not title or kind == "answer":
        return text
    return f"{title}\n{text}" if text else title


def post_of(row: Mapping[str, Any]) -> Post:
    """The post of a row that Arrow read with SCHEMA."""
    # corpora of earlier versions have fewer columns
    return Post(**{**row, "tags": tuple(row["tags"]), "duplicate_of": tuple(row.get("duplicate_of", ()))})


def write_posts(posts: Iterable[Post], folder: Path) -> int:
    """Write `posts` as zstd Parquet shards into `folder`, one row group at a time; returns their number."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = iter(posts)
    written = 0
    for number in itertools.count():
        shard = _groups(itertools.islice(stream, POSTS_PER_SHARD))
        first = next(shard, None)
        if first is None:
            break
        with pq.ParquetWriter(folder / f"posts-{number:05d}.parquet", SCHEMA, compression="zstd") as writer:
            for group in itertools.chain([first], shard):
                writer.write_table(pa.Table.from_pylist([asdict(post) for post in group], schema=SCHEMA))
                written += len(group)
    return written


def read_posts(folder: Path) -> Iterator[Post]:
    """Yield the posts of all shards in `folder`, in the order they were written; memory stays at one batch."""
    for path in shards(folder):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=2_000):
            for row in batch.to_pylist():
                yield post_of(row)


def count_posts(folder: Path) -> int:
    """The number of posts in the shards of `folder`, from their footers."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in shards(folder))


def pretraining_posts(folder: Path) -> Path:
    """The folder of posts for pretraining: in a labelled set the uncontaminated ones, else the corpus itself."""
    manifest = require_artifact(folder, "corpora build", "corpora label")
    return folder / PRETRAINING if manifest.stage == "corpora label" else folder


def shards(folder: Path) -> list[Path]:
    """The Parquet shards of `folder`; raises StackbertError if there is none."""
    paths = sorted(folder.glob("posts-*.parquet"))
    if not paths:
        raise StackbertError(
            f"{folder}: holds no posts-*.parquet; it should be the output of 'stackbert corpora build'"
        )
    return paths


def _groups(posts: Iterator[Post]) -> Iterator[list[Post]]:
    while group := list(itertools.islice(posts, POSTS_PER_GROUP)):
        yield group


def is_in_share(post_id: str, share: float, purpose: str) -> bool:
    """Whether a post belongs to the share `share` chosen for `purpose`; a hash of the id salted with `purpose`."""
    if share >= 1:
        return True
    digest = hashlib.blake2b(post_id.encode(), digest_size=8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big") < share * 2**64
