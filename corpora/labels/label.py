"""Stage 'corpora label': corpora -> a labelled set, and text for pretraining that does not contaminate it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.config import LabelConfig
from corpora.contamination.audit import EVALUATION_SPLITS
from corpora.contamination.evaluation_index import EvaluationPosts
from corpora.labels.corpus_shards import CORPORA, list_corpora
from corpora.labels.labelled_set import LABELS_FILE, MISC, WRITTEN, LabelError, check_names
from corpora.labels.pretraining_text import write_pretraining
from corpora.labels.splits import SELECTED, Splits, iso
from corpora.post import PRETRAINING, Post, shards
from corpora.post_columns import columns_of_posts, count_tags
from stackbert.core.artifact import Manifest, build_artifact, require_artifact, write_json
from stackbert.core.errors import StackbertError, nearest_hint

STAGE = "corpora label"
ROWS_PER_GROUP = 1_000  # about a megabyte of text


def build_labels(corpora: list[Path], out: Path, config: LabelConfig) -> Manifest:
    """Write train, dev and test sets, labels.json and pretraining/posts-*.parquet into `out`.

    `corpora` are outputs of 'corpora build'; if two hold the same post, that of the first is used. Posts that
    contaminate a test post (see EvaluationPosts) are removed from dev, train and pretraining; posts that contaminate a
    dev post are removed from train and pretraining. With split 'time' the pretraining text is older than the dev posts,
    with `test_from` than the test posts, see Splits; the manifest's counts record the borders. Each step reads the
    posts once, by column, so memory holds keys and not texts.

    Raises StackbertError if a split is empty, LabelError if no post has tags, or no post has one of the labels.
    """
    if not corpora:
        raise StackbertError("name at least one corpus: the output of 'stackbert corpora build'")
    for corpus in corpora:
        require_artifact(corpus, "corpora build")
    inputs: dict[str, Path | str] = {f"corpus {number}": corpus for number, corpus in enumerate(corpora, 1)}
    # The number of processes does not change the output, so a rerun with another number is the same artifact.
    return build_artifact(
        out, STAGE, replace(config, processes=0), inputs, lambda folder: _label(corpora, folder, config)
    )


def choose_labels(tag_counts: Counter[str], config: LabelConfig) -> tuple[str, ...]:
    """The configured labels, checked against the existing tags; else the most frequent tags, ties by name."""
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


def _label(corpora: list[Path], folder: Path, config: LabelConfig) -> dict[str, Any]:
    """The stage's work; returns the manifest's counts."""
    paths = [path for corpus in corpora for path in shards(corpus)]
    tag_counts = count_tags(paths)
    labels = choose_labels(tag_counts, config)
    names = (*labels, MISC) if config.misc else labels
    splits = Splits(paths, labels, config)
    undated = splits.labelled.dropped["no_date"]
    if undated and not splits.labelled.kept:
        raise StackbertError(
            f"split 'time' needs dates, and none of the {undated:,} labelled posts has one; name the column of dates "
            "(date_column) when building the corpus from its table, or set split to 'hash'"
        )
    evaluation, index, label_counts = EvaluationPosts(), None, {}
    for name in SELECTED:
        numbers = splits.select(name, index)
        if not len(numbers):
            raise StackbertError(
                f"split '{name}' is empty: {splits.labelled}; {splits.balances[name]}; "
                "raise its share, label more posts or lower the other shares"
            )
        posts = splits.read(numbers)
        label_counts[name] = _write_split(
            folder / f"{name}.parquet", posts, names, evaluation if name in EVALUATION_SPLITS else None
        )
        index = evaluation.index()
    assert index
    before = min(splits.borders.values()) if splits.borders else None
    pretraining = write_pretraining(paths, folder / PRETRAINING, index, before, config)
    entries = [
        {"name": name, "posts": tag_counts[name]} | {split: label_counts[split][name] for split in reversed(SELECTED)}
        for name in names
    ]
    write_json(folder / LABELS_FILE, entries)
    balances = [splits.labelled, *splits.balances.values(), pretraining]
    print(*balances, sep="\n")
    counts: dict[str, Any] = {balance.name: balance.counts() for balance in balances} | {CORPORA: list_corpora(corpora)}
    borders = {name: iso(when) for name, when in splits.borders.items()}
    return counts | ({"borders": borders} if borders else {}) | ({"dates": dates} if (dates := splits.dates) else {})


def _write_split(
    path: Path, posts: Iterator[Post], names: Sequence[str], evaluation: EvaluationPosts | None
) -> Counter[str]:
    """Write a split, and add its posts to `evaluation`; returns the number of posts with each label."""
    counts = Counter[str]()
    with pq.ParquetWriter(path, WRITTEN, compression="zstd") as writer:
        while group := list(islice(posts, ROWS_PER_GROUP)):
            rows = [_row(post, names) for post in group]
            writer.write_table(pa.Table.from_pylist(rows, schema=WRITTEN))
            counts.update(label for row in rows for label in row["labels"])
            if evaluation:
                evaluation.add(columns_of_posts(group))
    return counts


def _row(post: Post, names: Sequence[str]) -> dict[str, Any]:
    labels = [label for label in names if label in post.tags]
    return {
        "id": post.id,
        "text": post.whole_text,
        "labels": labels or [MISC],
        "url": post.url,
        "duplicate_of": post.duplicate_of,
        "license": post.license,
    }
