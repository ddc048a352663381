"""Packed rows on disk: written from posts and a tokenizer, read memory-mapped."""

import hashlib
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpora.artifact import SCRATCH, Manifest, build_artifact, identify, load_manifest, require_artifact, write_json
from corpora.errors import StackbertError
from corpora.post import count_posts, pretraining_posts
from corpora.workers import map_in_order
from tokenizer.blocks import BlockEncoder, id_type, list_blocks
from tokenizer.config import EncodeConfig
from tokenizer.journal import RowsJournal
from tokenizer.reader import TOKENIZER_FILES, load_reader

LAYOUT = "rows.json"
POSTS_WORTH_PROCESSES = 30_000  # some five seconds of work; starting others takes two
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class PackedRows:
    """One split of an encoded corpus."""

    ids: np.ndarray
    """(rows, row length), memory-mapped uint16 or uint32."""
    first_id: int
    padding_id: int
    text_bytes: int
    """UTF-8 bytes of the posts encoded."""
    text_tokens: int
    """Their tokens, without [CLS], [SEP] and padding."""

    @property
    def tokens_per_byte(self) -> float:
        return self.text_tokens / self.text_bytes


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


def load_rows(folder: Path, split: str) -> PackedRows:
    """Open one split of `folder` memory-mapped."""
    require_artifact(folder, "tokenizer encode")
    layout = json.loads((folder / LAYOUT).read_text("utf-8"))
    part = layout["splits"][split]
    shape = (part["rows"], layout["row_length"])
    ids = np.memmap(folder / f"{split}.bin", layout["dtype"], "r", shape=shape)
    return PackedRows(ids, layout["first_id"], layout["padding_id"], part["text_bytes"], part["text_tokens"])


def tokenizer_of_rows(folder: Path) -> str:
    """Identity of the tokenizer that `folder`'s rows were encoded with."""
    return load_manifest(folder).inputs["tokenizer"]


def identify_tokenizer(folder: Path) -> str:
    """What tells one tokenizer from another: the bytes of all its files."""
    found = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
    if not {"tokenizer.json", "vocab.txt", "vocab.json"} & set(found):
        raise StackbertError(f"{folder}: holds no tokenizer (tokenizer.json or vocab.txt)")
    listed = "".join(f"{name} {identify(folder / name)}\n" for name in found)
    return hashlib.sha256(listed.encode()).hexdigest()


def _encode(posts: Path, tokenizer: Path, staging: Path, config: EncodeConfig) -> dict[str, Any]:
    reader = load_reader(tokenizer)
    count = count_posts(posts)
    with RowsJournal(staging) as journal:
        saved = staging / SCRATCH / "reader.json"
        reader.save(saved)
        share = config.max_posts / count if config.max_posts else 1.0
        encoder = BlockEncoder(saved, config.row_length, config.held_out_share, share)
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
            f"{posts}: too few posts, nothing is left for {' and '.join(empty)}; give more text or raise held_out_share"
        )
