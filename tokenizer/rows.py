"""Packed rows on disk: written from posts and a tokenizer, read memory-mapped."""

import hashlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from corpora.artifact import Manifest, build_artifact, identify, load_manifest, require_artifact, write_json
from corpora.errors import StackbertError
from corpora.post import Post, count_posts, pretraining_posts, read_posts
from tokenizer.config import EncodeConfig
from tokenizer.packing import RowPacker, cut
from tokenizer.reader import TextReader, load_reader

SPLITS = ("train", "held_out")
POSTS_PER_WINDOW = 4_000  # enough sequences of each length for best-fit to fill rows; some 10 MB of ids
LAYOUT = "rows.json"
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

    `tokenizer` is a folder with Hugging Face tokenizer files: one of ours, or any checkpoint.
    """
    folder = pretraining_posts(posts)
    inputs: dict[str, Path | str] = {"posts": posts, "tokenizer": identify_tokenizer(tokenizer)}
    return build_artifact(
        out, "tokenizer encode", config, inputs, lambda staging: _encode(folder, tokenizer, staging, config)
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
    """What tells one tokenizer from another: the bytes of `tokenizer.json`, or of `vocab.txt` in older checkpoints."""
    for name in ("tokenizer.json", "vocab.txt", "vocab.json"):
        if (folder / name).is_file():
            return identify(folder / name)
    raise StackbertError(f"{folder}: holds no tokenizer (tokenizer.json or vocab.txt)")


class _SplitWriter:
    """Appends one split's rows to its file and keeps its sums."""

    def __init__(self, file: BinaryIO, dtype: np.dtype, row_length: int, padding_id: int):
        self._file, self._dtype, self._padding_id = file, dtype, padding_id
        self._packer: RowPacker[list[int]] = RowPacker(row_length)
        self.rows = self.text_bytes = self.text_tokens = self.unknown_tokens = self.row_tokens = 0

    def add(self, posts: list[Post], reader: TextReader) -> None:
        texts = [post.whole_text for post in posts]
        self.text_bytes += sum(len(text.encode()) for text in texts)
        sequences: list[list[int]] = []
        for ids in reader.ids_without_specials(texts):
            self.text_tokens += len(ids)
            self.unknown_tokens += ids.count(reader.unknown_id)
            sequences.extend(cut(ids, self._packer.row_length, reader.first_id, reader.last_id))
        self._write(self._packer.add((len(sequence), sequence) for sequence in sequences))

    def finish(self) -> dict[str, int]:
        self._write(self._packer.flush())
        sums = ("rows", "text_bytes", "text_tokens", "unknown_tokens", "row_tokens")
        return {name: getattr(self, name) for name in sums}

    def _write(self, rows: Iterator[list[list[int]]]) -> None:
        for row in rows:
            ids = list(itertools.chain.from_iterable(row))
            self.rows += 1
            self.row_tokens += len(ids)
            padded = ids + [self._padding_id] * (self._packer.row_length - len(ids))
            self._file.write(np.array(padded, self._dtype).tobytes())


def _encode(posts: Path, tokenizer: Path, folder: Path, config: EncodeConfig) -> dict[str, Any]:
    reader = load_reader(tokenizer)
    dtype = np.dtype("<u2" if reader.vocab_size <= 2**16 else "<u4")
    with (folder / "train.bin").open("wb") as train, (folder / "held_out.bin").open("wb") as held_out:
        writers = {
            split: _SplitWriter(file, dtype, config.row_length, reader.padding_id)
            for split, file in zip(SPLITS, (train, held_out), strict=True)
        }
        _write_posts(_chosen(posts, config.max_posts), writers, reader, config)
        splits = {split: writer.finish() for split, writer in writers.items()}
    _check_filled(splits, posts)
    sizes = {"row_length": config.row_length, "dtype": dtype.str}
    ids = {"first_id": reader.first_id, "padding_id": reader.padding_id}
    write_json(folder / LAYOUT, {**sizes, **ids, "splits": splits})
    sums = splits["train"]
    padding = 1 - sums["row_tokens"] / (sums["rows"] * config.row_length)
    print(
        f"{sums['rows']:,} rows of {config.row_length}, padding {padding:.2%}, unknown tokens "
        f"{sums['unknown_tokens'] / sums['text_tokens']:.3%}, "
        f"{sums['text_bytes'] / sums['text_tokens']:.2f} bytes a token"
    )
    return {**splits, "padding_share": round(padding, 5)}


def _write_posts(
    posts: Iterator[Post], writers: dict[str, _SplitWriter], reader: TextReader, config: EncodeConfig
) -> None:
    """Encode the posts window by window, each to its split's writer."""
    start = shown = time.monotonic()
    while window := list(itertools.islice(posts, POSTS_PER_WINDOW)):
        held_out = [_is_in_share(post.id, config.held_out_share, "held-out") for post in window]
        writers["train"].add([post for post, out in zip(window, held_out, strict=True) if not out], reader)
        writers["held_out"].add([post for post, out in zip(window, held_out, strict=True) if out], reader)
        if time.monotonic() - shown >= PROGRESS_SECONDS:
            shown = time.monotonic()
            megabytes = sum(writer.text_bytes for writer in writers.values()) / 1e6
            print(f"encoded {megabytes:,.0f} MB, {megabytes / (shown - start):.1f} MB/s", file=sys.stderr)


def _check_filled(splits: dict[str, dict[str, int]], posts: Path) -> None:
    empty = [split for split, sums in splits.items() if not sums["rows"]]
    if empty:
        raise StackbertError(
            f"{posts}: too few posts, nothing is left for {' and '.join(empty)}; give more text or raise held_out_share"
        )


def _chosen(posts: Path, most: int) -> Iterator[Post]:
    """About `most` posts from all over the corpus, in its order; 0 is all."""
    share = most / count_posts(posts) if most else 1.0
    return (post for post in read_posts(posts) if share >= 1 or _is_in_share(post.id, share, "chosen"))


def _is_in_share(post_id: str, share: float, purpose: str) -> bool:
    """Whether a post is among the `share` for `purpose`; depends on its id alone."""
    digest = hashlib.blake2b(post_id.encode(), digest_size=8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big") < share * 2**64
