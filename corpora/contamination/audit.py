"""Counts the posts of a text that contaminate a labelled set's test and dev posts, by kind and with examples."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.contamination.evaluation_index import PREFIX, REASONS, TEXT, EvaluationIndex, EvaluationPosts
from corpora.post import PRETRAINING, shards
from corpora.post_columns import PostColumns, read_columns, site_of
from corpora.text_keys import exact_key
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from stackbert.core.place import require_file_place
from stackbert.core.printing import fit, printable
from stackbert.core.workers import map_in_order, processes_for

EVALUATION_SPLITS = ("test", "dev")
KINDS = {
    "id": "the post itself, by id",
    "answer": "an answer to it, by id",
    "link": "a duplicate of it, by link",
    "exact": "same title, body or both",
    "text": "the same, re-cased or re-wrapped",
    "fragment": "mostly fragments, such as its code",
    "ngrams": "shared 13-grams, as in quotations",
}
"""Kind of contamination -> its description; if several apply, the first is counted."""
EXAMPLES = 5  # listed of each kind
ROWS_PER_BATCH = 1_000


@dataclass(frozen=True)
class Match:
    """A post of the text, and the evaluation post that it contaminates."""

    kind: str
    post: str
    """Id of the post."""
    evaluation_post: str
    """Id of the evaluation post."""


@dataclass(frozen=True)
class Audit:
    """Contamination of a labelled set by a text."""

    posts: int
    """Number of posts in the text."""
    evaluation_posts: dict[str, int]
    """Split -> number of its posts."""
    counts: dict[str, dict[str, int]]
    """Split -> kind -> posts that contaminate the split; a post that contaminates both counts for test."""
    examples: dict[str, list[Match]]
    """Split -> the first few matches of each kind."""

    @property
    def total(self) -> int:
        """Number of contaminating posts."""
        return sum(sum(kinds.values()) for kinds in self.counts.values())

    def __str__(self) -> str:
        """A table for the terminal, without control characters."""
        wide = max(map(len, KINDS.values()))
        header = "".join(f"{split:>12}" for split in self.counts)
        lines = [f"read {self.posts:,} posts", fit("posts that contaminate", wide) + header]
        for kind, name in KINDS.items():
            lines.append(fit(name, wide) + "".join(f"{kinds[kind]:>12,}" for kinds in self.counts.values()))
        numbers = "".join(f"{number:>12,}" for number in self.evaluation_posts.values())
        lines.append(fit("evaluation posts", wide) + numbers)
        for split, matches in self.examples.items():
            lines += [printable(f"{split} {match.evaluation_post}: {match.kind} in {match.post}") for match in matches]
        return "\n".join(lines)


def audit(posts: Path, labels: Path, out: Path | None = None, processes: int = 0) -> Audit:
    """Search the posts of a folder for contamination of a labelled set's test and dev posts; `out` is a JSON file.

    `posts` is the output of 'corpora label' (its text for pretraining is read), of 'corpora build', or any folder of
    posts-*.parquet. `labels` holds test.parquet, dev.parquet or both, from 'corpora label' or made by hand; the ids of
    a set made by hand match on any site, and duplicates are known only from `posts`. Memory holds the keys of the
    evaluation texts. Raises StackbertError if either folder holds nothing to read.
    """
    if out:
        require_file_place(out, posts, labels)
    folder = posts / PRETRAINING if (posts / PRETRAINING).is_dir() else posts
    paths = shards(folder)
    splits = _splits(labels)
    evaluation = _EvaluationSet.of(splits)
    read, counts = 0, {split: Counter[str]() for split in splits}
    examples: dict[str, list[Match]] = {split: [] for split in splits}
    processes = processes_for(paths, processes)
    for posts_read, matches in map_in_order(partial(_search, evaluation=evaluation), paths, processes):
        read += posts_read
        for split, match in matches:
            counts[split][match.kind] += 1
            if counts[split][match.kind] <= EXAMPLES:
                examples[split].append(match)
    result = Audit(
        posts=read,
        evaluation_posts={split: evaluation.splits.count(split) for split in splits},
        counts={split: {kind: counts[split][kind] for kind in KINDS} for split in splits},
        examples={
            split: sorted(matches, key=lambda match: [*KINDS].index(match.kind)) for split, matches in examples.items()
        },
    )
    if out:
        write_json(out, asdict(result) | {"total": result.total})
    return result


def load_evaluation_index(labels: Path) -> EvaluationIndex:
    """An index of a labelled set's test and dev posts; raises StackbertError if the set has neither split."""
    return _EvaluationSet.of(_splits(labels)).index


def _splits(labels: Path) -> dict[str, Path]:
    paths = {split: labels / f"{split}.parquet" for split in EVALUATION_SPLITS}
    found = {split: path for split, path in paths.items() if path.is_file()}
    if not found:
        raise StackbertError(f"{labels}: holds neither test.parquet nor dev.parquet; name a labelled set")
    return found


@dataclass(frozen=True)
class _EvaluationSet:
    """The posts of the evaluation splits."""

    ids: list[str]
    splits: list[str]
    """The split of each post."""
    index: EvaluationIndex
    exact: frozenset[bytes]
    """Keys of the exact texts."""

    @classmethod
    def of(cls, paths: dict[str, Path]) -> "_EvaluationSet":
        evaluation, ids, splits, exact = EvaluationPosts(), list[str](), list[str](), set[bytes]()
        for split, path in paths.items():
            for posts in _labelled_columns(path):
                evaluation.add(posts)
                ids += posts.ids
                splits += [split] * len(posts)
                exact.update(key for row in range(len(posts)) for key in _exact_keys(posts, row))
        return cls(ids, splits, evaluation.index(), frozenset(exact))


def _labelled_columns(path: Path) -> Iterator[PostColumns]:
    """The rows of a labelled set as posts; the title is the first line of the text."""
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    if not {"id", "text"} <= set(names):
        raise StackbertError(f"{path}: needs the columns id and text; it has {', '.join(names)}")
    for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
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


def _search(path: Path, evaluation: _EvaluationSet) -> tuple[int, list[tuple[str, Match]]]:
    """The number of posts in a shard, and its matches in order, each with its split."""
    read, matches = 0, []
    for _, posts in read_columns(path):
        read += len(posts)
        found = evaluation.index.find(posts)
        for row in np.flatnonzero(found.reasons_N).tolist():
            code, owner = found.reasons_N[row], found.owners_N[row]
            is_exact = code == TEXT and not evaluation.exact.isdisjoint(_exact_keys(posts, row))
            kind = "exact" if is_exact else REASONS[code].removeprefix(PREFIX)
            matches.append((evaluation.splits[owner], Match(kind, posts.ids[row], evaluation.ids[owner])))
    return read, matches


def _exact_keys(posts: PostColumns, row: int) -> Sequence[bytes]:
    """Keys of a post's exact title, body and both together."""
    fields = [field for field in (posts.titles[row], posts.texts[row]) if field]
    return [exact_key(field) for field in (*fields, "\n".join(fields))]
