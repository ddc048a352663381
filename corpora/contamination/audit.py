"""Whether a text for pretraining gives a labelled set's test and dev posts away: counted by kind, with examples."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.contamination.held_out import REASONS, TEXT, HeldOut, HeldOutIndex
from corpora.post import PRETRAINING, shards
from corpora.post_columns import PostColumns, read_columns, site_of
from corpora.text_keys import exact_key
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from stackbert.core.printing import fit, printable
from stackbert.core.workers import map_in_order, processes_for

SPLITS = ("test", "dev")
KINDS = {
    "id": "the post itself, by id",
    "answer": "an answer to it, by id",
    "link": "a duplicate of it, by link",
    "exact": "the same title, body or both",
    "text": "the same, re-cased or re-wrapped",
    "part": "mostly parts of it, as its code",
    "ngrams": "much of it or in it, by 13-grams",
}
"""What a post gives away and how it is described; where several hold, the first is counted."""
EXAMPLES = 5  # of each kind that are listed
HELD_OUT_AT_ONCE = 1_000


@dataclass(frozen=True)
class Leak:
    """A post of the text, and the held-out one that it gives away."""

    kind: str
    post: str
    held_out: str


@dataclass(frozen=True)
class Audit:
    """What was found."""

    posts: int
    """How many were read."""
    held_out: dict[str, int]
    """Split -> its posts."""
    counts: dict[str, dict[str, int]]
    """Split -> kind -> posts of the text that give one of its posts away; each counts once, for test before dev."""
    examples: dict[str, list[Leak]]
    """Split -> the first few of each kind."""

    @property
    def total(self) -> int:
        """Posts that give something away."""
        return sum(sum(kinds.values()) for kinds in self.counts.values())

    def __str__(self) -> str:
        """A table for the terminal, free of control characters."""
        wide = max(map(len, KINDS.values()))
        header = "".join(f"{split:>12}" for split in self.counts)
        lines = [f"read {self.posts:,} posts", fit("posts that give one away", wide) + header]
        for kind, name in KINDS.items():
            lines.append(fit(name, wide) + "".join(f"{kinds[kind]:>12,}" for kinds in self.counts.values()))
        lines.append(fit("held-out posts", wide) + "".join(f"{number:>12,}" for number in self.held_out.values()))
        for split, leaks in self.examples.items():
            lines += [printable(f"{split} {leak.held_out}: {leak.kind} in {leak.post}") for leak in leaks]
        return "\n".join(lines)


def audit(posts: Path, labels: Path, out: Path | None = None, processes: int = 0) -> Audit:
    """Look in the posts of a folder for the test and dev posts of a labelled set; `out` is written as JSON.

    `posts` is the output of 'corpora label' (its text for pretraining is read), of 'corpora build', or any folder with
    posts-*.parquet; `labels` holds test.parquet, dev.parquet or both, from 'corpora label' or made by hand. By hand,
    ids count for any site, and duplicates are known only as far as `posts` name them. Memory holds the held-out texts'
    keys. Raises StackbertError where either folder holds nothing to read.
    """
    folder = posts / PRETRAINING if (posts / PRETRAINING).is_dir() else posts
    paths = shards(folder)
    splits = _splits(labels)
    held_out = _HeldOutSet.of(splits)
    read, counts = 0, {split: Counter[str]() for split in splits}
    examples: dict[str, list[Leak]] = {split: [] for split in splits}
    processes = processes_for(paths, processes)
    for posts_read, leaks in map_in_order(partial(_search, held_out=held_out), paths, processes):
        read += posts_read
        for split, leak in leaks:
            counts[split][leak.kind] += 1
            if counts[split][leak.kind] <= EXAMPLES:
                examples[split].append(leak)
    result = Audit(
        posts=read,
        held_out={split: held_out.splits.count(split) for split in splits},
        counts={split: {kind: counts[split][kind] for kind in KINDS} for split in splits},
        examples={
            split: sorted(leaks, key=lambda leak: [*KINDS].index(leak.kind)) for split, leaks in examples.items()
        },
    )
    if out:
        write_json(out, asdict(result) | {"total": result.total})
    return result


def held_out_index(labels: Path) -> HeldOutIndex:
    """What finds the test and dev posts of a labelled set in other text; raises StackbertError where it has none."""
    return _HeldOutSet.of(_splits(labels)).index


def _splits(labels: Path) -> dict[str, Path]:
    found = {split: labels / f"{split}.parquet" for split in SPLITS if (labels / f"{split}.parquet").is_file()}
    if not found:
        raise StackbertError(f"{labels}: holds neither test.parquet nor dev.parquet; name a labelled set")
    return found


@dataclass(frozen=True)
class _HeldOutSet:
    """The held-out splits as they are looked for."""

    ids: list[str]
    splits: list[str]
    """The split that each is from."""
    index: HeldOutIndex
    exact: frozenset[bytes]
    """Keys of the texts as they are."""

    @classmethod
    def of(cls, paths: dict[str, Path]) -> "_HeldOutSet":
        held_out, ids, splits, exact = HeldOut(), list[str](), list[str](), set[bytes]()
        for split, path in paths.items():
            for posts in _labelled_columns(path):
                held_out.add(posts)
                ids += posts.ids
                splits += [split] * len(posts)
                exact.update(key for row in range(len(posts)) for key in _exact_keys(posts, row))
        return cls(ids, splits, held_out.index(), frozenset(exact))


def _labelled_columns(path: Path) -> Iterator[PostColumns]:
    """The rows of a labelled set as posts: the first of several lines is the title, or a text of one line."""
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    if not {"id", "text"} <= set(names):
        raise StackbertError(f"{path}: needs the columns id and text; it has {', '.join(names)}")
    for batch in file.iter_batches(batch_size=HELD_OUT_AT_ONCE):
        nothing = [None] * batch.num_rows
        texts = [text or "" for text in batch["text"].to_pylist()]
        urls = batch["url"].to_pylist() if "url" in names else nothing
        targets = batch["duplicate_of"].to_pylist() if "duplicate_of" in names else nothing
        yield PostColumns(
            ids=batch["id"].cast(pa.string()).to_pylist(),
            parents=nothing,
            titles=[text.partition("\n")[0] for text in texts],
            texts=[text.partition("\n")[2] for text in texts],
            duplicates=[ids or () for ids in targets],
            sites=[site_of(url) for url in urls],
        )


def _search(path: Path, held_out: _HeldOutSet) -> tuple[int, list[tuple[str, Leak]]]:
    """How many posts a shard has, and what they give away, in order: split and leak."""
    read, leaks = 0, []
    for _, posts in read_columns(path):
        read += len(posts)
        found = held_out.index.find(posts)
        for row in np.flatnonzero(found.reasons_N).tolist():
            code, owner = found.reasons_N[row], found.owners_N[row]
            is_exact = code == TEXT and not held_out.exact.isdisjoint(_exact_keys(posts, row))
            kind = "exact" if is_exact else REASONS[code].removeprefix("held_out_")
            leaks.append((held_out.splits[owner], Leak(kind, posts.ids[row], held_out.ids[owner])))
    return read, leaks


def _exact_keys(posts: PostColumns, row: int) -> Sequence[bytes]:
    """Keys of a post's title, body and both as they are."""
    parts = [part for part in (posts.titles[row], posts.texts[row]) if part]
    return [exact_key(part) for part in (*parts, "\n".join(parts))]
