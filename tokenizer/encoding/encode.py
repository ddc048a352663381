"""Stage 'tokenizer encode': posts to packed rows of token ids."""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from corpora.labels.corpus_shards import weighted_shards
from corpora.post import pretraining_posts
from corpora.post_pairs import save_pair_links
from stackbert.core.artifact import SCRATCH, Manifest, build_artifact, write_json
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress
from stackbert.core.workers import map_in_order
from tokenizer.config import EncodeConfig
from tokenizer.encoding.blocks import BlockEncoder, id_type, list_blocks
from tokenizer.encoding.journal import RowsJournal
from tokenizer.encoding.packed_rows import ENDINGS, LAYOUT, STAGE, identify_tokenizer, most_texts
from tokenizer.encoding.reader import load_reader
from tokenizer.encoding.tag_targets import TARGETS_FILE, choose_target_tags, require_labelled_set, save_targets
from tokenizer.files.tokenizer_checks import check_known

DEFAULT_SOURCES = EncodeConfig.pair_sources
PAIR_KINDS = {
    "title-body": "title and body",
    "answers": "question and accepted answer",
    "duplicates": "question and what it is a duplicate of",
}
SHOWN_TAGS = 5
POSTS_WORTH_PROCESSES = 30_000  # about five seconds of work; starting processes takes two


def encode_rows(posts: Path, tokenizer: Path, out: Path, config: EncodeConfig) -> Manifest:
    """Encode a corpus, or the pretraining text of a labelled set, into packed rows.

    `tokenizer` is a folder with Hugging Face tokenizer files: one of ours, or any checkpoint. A stopped run resumes
    after the last block of posts it finished; the rows do not depend on stops or on the number of processes.
    """
    folder = pretraining_posts(posts)
    weights = weighted_shards(posts, config.weights)
    if config.targets in ("pairs", "words"):
        require_labelled_set(posts, config.targets)
    tags = choose_target_tags(posts, config) if config.targets == "tags" else {}
    inputs: dict[str, Path | str] = {"posts": posts, "tokenizer": identify_tokenizer(tokenizer)}
    return build_artifact(
        out,
        STAGE,
        replace(config, processes=0),
        inputs,
        lambda staging: _encode(folder, weights, tokenizer, tags, staging, config),
        resumable=True,
    )


def _encode(
    posts: Path,
    weights: Mapping[Path, float],
    tokenizer: Path,
    tags: Mapping[str, int],
    staging: Path,
    config: EncodeConfig,
) -> dict[str, Any]:
    reader = load_reader(tokenizer)
    count = sum(weight * pq.ParquetFile(path).metadata.num_rows for path, weight in weights.items())
    with RowsJournal(staging, ENDINGS[config.targets]) as journal:
        saved, targets = staging / SCRATCH / "reader.json", staging / TARGETS_FILE if tags else None
        reader.save(saved)
        if targets:
            save_targets(tags, targets)
        share = min(1.0, config.max_posts / count) if config.max_posts else 1.0
        sizes = (config.row_length, config.validation_share, share, config.max_text_tokens)
        pair_tokens = config.pair_tokens if config.targets in ("pairs", "words") else 0
        bag_tokens = config.bag_tokens if config.targets == "words" else 0
        sources, links = DEFAULT_SOURCES, None
        if _has_links(config):
            sources, links = config.pair_sources, staging / SCRATCH / "links"
            save_pair_links(list(weights), sources, links)
        encoder = BlockEncoder(saved, *sizes, targets, pair_tokens, bag_tokens, sources, links)
        is_small = share * count < POSTS_WORTH_PROCESSES
        _write_blocks(journal, encoder, weights, 1 if is_small else config.processes)
        splits = journal.finish(config.row_length, reader.padding_id, id_type(reader))
    _require_rows(splits, posts)
    check_known(splits["train"]["unknown_tokens"], splits["train"]["text_tokens"], f"{tokenizer} on {posts}")
    layout: dict[str, Any] = {"row_length": config.row_length, "dtype": id_type(reader).str}
    layout |= {"first_id": reader.first_id, "padding_id": reader.padding_id, "splits": splits}
    if config.targets == "pairs":
        layout["max_pairs"] = most_texts(staging, layout) // 2
    if _has_links(config):
        layout["pair_sources"] = config.pair_sources
    write_json(staging / LAYOUT, layout)
    return _figures(splits, tags, config)


def _has_links(config: EncodeConfig) -> bool:
    """Whether some pairs are of two posts."""
    return config.targets == "pairs" and set(config.pair_sources) != set(DEFAULT_SOURCES)


def _figures(splits: dict[str, dict[str, int]], tags: Mapping[str, int], config: EncodeConfig) -> dict[str, Any]:
    """The counts for the manifest; prints them, and which settings have no effect."""
    train = splits["train"]
    padding = 1 - train["row_tokens"] / (train["rows"] * config.row_length)
    unknown = train["unknown_tokens"] / train["text_tokens"]
    print(
        f"{train['rows']:,} rows of {config.row_length}, padding {padding:.2%}, unknown tokens {unknown:.3%}, "
        f"{train['text_bytes'] / train['text_tokens']:.2f} bytes a token"
    )
    if tags:
        listed = ", ".join(list(tags)[:SHOWN_TAGS])
        print(f"targets: {len(tags):,} tags on {train['texts']:,} posts, the most frequent: {listed}")
    if config.targets == "pairs":
        print(f"targets: {_pairs(train, config)}, {train['texts'] / train['rows']:.2f} in a row")
    if config.targets == "words":
        print(f"targets: words of {train['texts']:,} bodies, {train['texts'] / train['rows']:.2f} titles in a row")
    for note in config.unused:
        print(note)
    return {**splits, "targets": len(tags), "padding_share": round(padding, 5), "unknown_share": round(unknown, 7)}


def _pairs(counts: Mapping[str, int], config: EncodeConfig) -> str:
    """The number of pairs, and of each source."""
    if not _has_links(config):
        return f"{counts['texts']:,} pairs of a title and a body"
    listed = ", ".join(f"{counts[source]:,} of {PAIR_KINDS[source]}" for source in config.pair_sources)
    return f"{counts['texts']:,} pairs, {listed}"


def _write_blocks(journal: RowsJournal, encoder: BlockEncoder, weights: Mapping[Path, float], processes: int) -> None:
    """Encode the blocks that the journal does not hold yet."""
    blocks = list_blocks(weights)
    if journal.done:
        print(f"resuming: {journal.done:,} of {len(blocks):,} blocks of posts are encoded", file=sys.stderr)
    megabytes_before, start = _megabytes(journal), time.monotonic()
    with Progress("encoding", len(blocks), journal.done, unit="blocks") as progress:
        for block in map_in_order(encoder, blocks[journal.done :], processes):
            journal.append(block)
            speed = (_megabytes(journal) - megabytes_before) / max(time.monotonic() - start, 1e-6)
            progress.advance(note=f"{speed:.1f} MB/s")


def _megabytes(journal: RowsJournal) -> float:
    """Text that the journal's rows encode."""
    return sum(counts["text_bytes"] for counts in journal.counts.values()) / 1e6


def _require_rows(splits: dict[str, dict[str, int]], posts: Path) -> None:
    empty = [split for split, counts in splits.items() if not counts["rows"]]
    if empty:
        raise StackbertError(
            f"{posts}: too few posts, no row for {' and '.join(empty)}; give more text or raise validation_share"
        )
