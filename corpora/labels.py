"""Stage 'corpora label': corpora in; a labelled set, and text to pretrain on that gives none of it away, out."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpora.artifact import Manifest, build_artifact, require_artifact, write_json
from corpora.balance import Balance
from corpora.build import STAGE as BUILD_STAGE
from corpora.config import LabelConfig
from corpora.duplicates import SeenKeys, exact_key, normalized_key
from corpora.errors import StackbertError
from corpora.held_out import HeldOut
from corpora.labelled import LABELS_FILE, MISC, SCHEMA, LabelError, check_names
from corpora.nearest import nearest_hint
from corpora.post import PRETRAINING, Post, post_of, read_posts, shards, write_posts

STAGE = "corpora label"
ROWS_PER_GROUP = 2_000

SELECTED = ("test", "dev", "train")  # in this order: each is kept clear of those before it
NOT_LABELLED = 255


def build_labels(corpora: list[Path], out: Path, config: LabelConfig) -> Manifest:
    """Write train, dev and test sets, labels.json and pretraining/posts-*.parquet into `out`.

    `corpora` are outputs of 'corpora build'; where two hold the same post, the first one's is taken. A post that stands
    in the test set, or consists of it for the most part, is not in dev, train or pretraining, likewise for dev: see
    HeldOut. A test text quoted within a longer post is not looked for, and ids are one space over all corpora. The
    posts are read once for each step, so memory holds keys, not texts.

    Raises StackbertError where a split comes out empty, LabelError where no post has tags or a label no post.
    """
    if not corpora:
        raise StackbertError("name at least one corpus: the output of 'stackbert corpora build'")
    for corpus in corpora:
        require_artifact(corpus, BUILD_STAGE)
    inputs = {f"corpus {number}": corpus for number, corpus in enumerate(corpora, 1)}
    return build_artifact(out, STAGE, config, inputs, lambda folder: _label(corpora, folder, config))


def choose_labels(tag_counts: Counter[str], config: LabelConfig) -> tuple[str, ...]:
    """The configured labels, checked against the tags there are; else the most frequent tags, ties by name."""
    if not tag_counts:
        raise LabelError("no post has tags; name the table's tags_column when building the corpus, or another corpus")
    if config.misc and MISC in (config.labels or tag_counts):
        raise LabelError(f"'{MISC}' is already a label or tag of its own; set misc to false")
    if config.labels:
        for label in check_names(config.labels, "labels"):
            if label not in tag_counts:
                raise LabelError(f"labels: no post has the tag {label!r}{nearest_hint(label, tag_counts)}")
        return config.labels
    if len(tag_counts) < config.num_labels:
        raise LabelError(f"the posts have {len(tag_counts)} tags, fewer than num_labels {config.num_labels}; lower it")
    return tuple(sorted(tag_counts, key=lambda tag: (-tag_counts[tag], tag))[: config.num_labels])


def id_hash(post_id: str, seed: int) -> int:
    """64 bits that depend on the id and the seed alone."""
    digest = hashlib.blake2b(post_id.encode(), key=str(seed).encode(), digest_size=8).digest()
    return int.from_bytes(digest)


def _label(corpora: list[Path], folder: Path, config: LabelConfig) -> dict[str, Any]:
    """The stage's work; returns the manifest's counts."""
    tag_counts = _count_tags(corpora)
    labels = choose_labels(tag_counts, config)
    splits = _Splits(corpora, labels, config)
    held_out, label_counts = HeldOut(), {}
    for name in SELECTED:
        posts = splits.select(name, held_out)
        label_counts[name] = splits.write(name, posts, folder, held_out if name != "train" else None)
    pretraining = Balance(PRETRAINING)
    write_posts(_pretraining(_read_all(corpora), held_out, pretraining), folder / PRETRAINING)
    entries = [
        {"name": name, "posts": tag_counts[name]} | {split: label_counts[split][name] for split in reversed(SELECTED)}
        for name in splits.names
    ]
    write_json(folder / LABELS_FILE, entries)
    balances = [splits.labelled, *splits.balances.values(), pretraining]
    print(*balances, sep="\n")
    return {balance.name: balance.counts() for balance in balances}


class _Splits:
    """Which posts, by their number in the order of reading, may go to which split."""

    def __init__(self, corpora: list[Path], labels: tuple[str, ...], config: LabelConfig) -> None:
        self.names = (*labels, MISC) if config.misc else labels
        self.labelled = Balance("labelled")
        self.balances = {name: Balance(name) for name in SELECTED}
        self._corpora, self._config = corpora, config
        self._label_set = frozenset(labels)
        self._hashes = array("Q")  # of the labelled posts, in order
        split_of = bytearray()
        seen = SeenKeys()
        for post in _read_all(corpora):
            reason = self._unlabelled_reason(post) or _duplicate_reason(post, seen)
            if reason:
                self.labelled.drop(reason)
                split_of.append(NOT_LABELLED)
                continue
            self.labelled.keep()
            self._hashes.append(id_hash(post.id, config.seed))
            split_of.append(SELECTED.index(_split_name(self._hashes[-1], config)))
        self._split_of = np.frombuffer(split_of, np.uint8)

    def select(self, name: str, held_out: HeldOut) -> np.ndarray:
        """The numbers of a split's posts: those that the splits before it do not recognise, up to the maximum."""
        candidates = np.flatnonzero(self._split_of == SELECTED.index(name))
        clear = np.ones(len(candidates), bool)
        for place, post in enumerate(_read_numbers(self._corpora, candidates)):
            if reason := held_out.text_reason(post):
                self.balances[name].drop(reason)
                clear[place] = False
        candidates = candidates[clear]
        maximum = getattr(self._config, f"max_{name}") or len(candidates)
        numbers_labelled = np.flatnonzero(self._split_of != NOT_LABELLED)
        hashes = np.frombuffer(self._hashes, np.uint64)[np.searchsorted(numbers_labelled, candidates)]
        self.balances[name].drop("over_maximum", len(candidates[maximum:]))
        return np.sort(candidates[np.argsort(hashes, kind="stable")[:maximum]])

    def write(self, name: str, numbers: np.ndarray, folder: Path, held_out: HeldOut | None) -> Counter[str]:
        """Write a split and hold its posts out; returns how many posts have each label."""
        if not len(numbers):
            raise StackbertError(
                f"split '{name}' came out empty: {self.labelled}; {self.balances[name]}; "
                "raise its share, label more posts or lower the other shares"
            )
        posts, counts = _read_numbers(self._corpora, numbers), Counter[str]()
        with pq.ParquetWriter(folder / f"{name}.parquet", SCHEMA, compression="zstd") as writer:
            while group := list(islice(posts, ROWS_PER_GROUP)):
                rows = [self._row(post) for post in group]
                writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
                for post, row in zip(group, rows, strict=True):
                    counts.update(row["labels"])
                    self.balances[name].keep()
                    if held_out:
                        held_out.add(post)
        return counts

    def _row(self, post: Post) -> dict[str, Any]:
        labels = [label for label in self.names if label in post.tags]
        return {"id": post.id, "text": post.whole_text, "labels": labels or [MISC]}

    def _unlabelled_reason(self, post: Post) -> str | None:
        """Why a post cannot be in the labelled set; None where it can."""
        if post.kind == "answer":
            return "answer"
        if not post.tags:
            return "no_tags"
        return None if self._config.misc or not self._label_set.isdisjoint(post.tags) else "other_tags"


def _duplicate_reason(post: Post, seen: SeenKeys) -> str | None:
    """'duplicate' for a text that was seen, and for a question that was seen with less or more of its body."""
    new_text = seen.add(normalized_key(post.whole_text))
    new_question = not post.title or seen.add(exact_key(f"{post.id}\n{normalized_key(post.title).hex()}"))
    return None if new_text and new_question else "duplicate"


def _split_name(hashed: int, config: LabelConfig) -> str:
    share = hashed / 2**64
    if share < config.test_share:
        return "test"
    return "dev" if share < config.test_share + config.dev_share else "train"


def _pretraining(posts: Iterable[Post], held_out: HeldOut, balance: Balance) -> Iterator[Post]:
    """The posts that a model may read before it is tested."""
    seen = SeenKeys()
    for post in posts:
        reason = held_out.reason(post)
        if reason or not seen.add(normalized_key(post.whole_text)):
            balance.drop(reason or "duplicate")
        else:
            balance.keep()
            yield post


def _count_tags(corpora: list[Path]) -> Counter[str]:
    """How many questions and documents have each tag."""
    counts: Counter[str] = Counter()
    for path in (path for corpus in corpora for path in shards(corpus)):
        for batch in pq.ParquetFile(path).iter_batches(columns=["kind", "tags"]):
            for kind, tags in zip(batch["kind"].to_pylist(), batch["tags"].to_pylist(), strict=True):
                if kind != "answer":
                    counts.update(tags)
    return counts


def _read_all(corpora: list[Path]) -> Iterator[Post]:
    for corpus in corpora:
        yield from read_posts(corpus)


def _read_numbers(corpora: list[Path], numbers: np.ndarray) -> Iterator[Post]:
    """The posts with these ascending numbers; the others are skipped before they become Python objects."""
    start = 0
    for path in (path for corpus in corpora for path in shards(corpus)):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS_PER_GROUP):
            first, last = np.searchsorted(numbers, (start, start + batch.num_rows))
            for row in batch.take(pa.array(numbers[first:last] - start)).to_pylist():
                yield post_of(row)
            start += batch.num_rows
