"""Posts into packed rows of token ids: 'tokenizer encode'."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpora.post import count_posts, pretraining_posts
from stackbert.core.artifact import SCRATCH, Manifest, build_artifact, write_json
from stackbert.core.errors import StackbertError
from stackbert.core.workers import map_in_order
from tokenizer.config import EncodeConfig
from tokenizer.encoding.blocks import BlockEncoder, id_type, list_blocks
from tokenizer.encoding.journal import RowsJournal
from tokenizer.encoding.packed_rows import LAYOUT, identify_tokenizer
from tokenizer.encoding.reader import load_reader

POSTS_WORTH_PROCESSES = 30_000  # some five seconds of work; starting others takes two
PROGRESS_SECONDS = 5.0


def encode_rows(posts: Path, tokenizer: Path, out: Path, config: EncodeConfig) -> Manifest:
    """Encode a corpus or labelled set's pretraining text with the tokenizer in `tokenizer` into packed rows.

    `tokenizer` is a folder with Hugging Face tokenizer files: one of ours, or any checkpoint. A stopped run goes on
    after the blocks of posts it finished; the rows are the same for any stop and any number of processes.
    """
    folder = pretraining_posts(posts)
    inputs: dict[str, Path | str] = {"posts": posts, "tokenizer": identify_tokenizer(tokenizer)}
    return build_artifact(
        out,
        "tokenizer encode",
        replace(config, processes=0),
        inputs,
        lambda staging: _encode(folder, tokenizer, staging, config),
        resumable=True,
    )


def _encode(posts: Path, tokenizer: Path, staging: Path, config: EncodeConfig) -> dict[str, Any]:
    reader = load_reader(tokenizer)
    count = count_posts(posts)
    with RowsJournal(staging) as journal:
        saved = staging / SCRATCH / "reader.json"
        reader.save(saved)
        share = config.max_posts / count if config.max_posts else 1.0
        encoder = BlockEncoder(saved, config.row_length, config.validation_share, share)
        is_small = min(share, 1.0) * count < POSTS_WORTH_PROCESSES
        _write_blocks(journal, encoder, posts, 1 if is_small else config.processes)
        splits = journal.finish(config.row_length, reader.padding_id, id_type(reader))
    _check_filled(splits, posts)
    sizes = {"row_length": config.row_length, "dtype": id_type(reader).str}
    ids = {"first_id": reader.first_id, "padding_id": reader.padding_id}
    write_json(staging / LAYOUT, {**sizes, **ids, "splits": splits})
    sums = splits["train"]
    padding = 1 - sums["row_tokens"] / (sums["rows"] * config.row_length)
    unknown = sums["unknown_tokens"] / sums["text_tokens"]
    print(
        f"{sums['rows']:,} rows of {config.row_length}, padding {padding:.2%}, unknown tokens {unknown:.3%}, "
        f"{sums['text_bytes'] / sums['text_tokens']:.2f} bytes a token"
    )
    return {**splits, "padding_share": round(padding, 5), "unknown_share": round(unknown, 7)}


def _write_blocks(journal: RowsJournal, encoder: BlockEncoder, posts: Path, processes: int) -> None:
    """Encode the blocks that are not written yet."""
    blocks = list_blocks(posts)
    if journal.done:
        print(f"{journal.done:,} of {len(blocks):,} blocks of posts are encoded; going on", file=sys.stderr)
    before = _megabytes(journal)
    start = shown = time.monotonic()
    for block in map_in_order(encoder, blocks[journal.done :], processes):
        journal.append(block)
        if time.monotonic() - shown >= PROGRESS_SECONDS:
            shown = time.monotonic()
            done = _megabytes(journal)
            print(f"encoded {done:,.0f} MB, {(done - before) / (shown - start):.1f} MB/s", file=sys.stderr)


def _megabytes(journal: RowsJournal) -> float:
    return sum(sums["text_bytes"] for sums in journal.sums.values()) / 1e6


def _check_filled(splits: dict[str, dict[str, int]], posts: Path) -> None:
    empty = [split for split, sums in splits.items() if not sums["rows"]]
    if empty:
        raise StackbertError(
            f"{posts}: too few posts, nothing is left for {' and '.join(empty)}; give more text "
            "or raise validation_share"
        )
