"""One block of posts to rows: the piece of work that a process does, fixed by the posts' files alone."""

# T tokens in a row, R rows, S sequences

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from corpora.post import Post, is_in_share, shards
from tokenizer.encoding.packing import RowPacker
from tokenizer.encoding.reader import TextReader
from tokenizer.encoding.truncation import cut_texts

SPLITS = ("train", "validation")
TEXT_AT_ONCE = 1_000_000  # characters; bounds what a process holds, and larger windows were no quicker
SUMS = ("rows", "text_bytes", "text_tokens", "unknown_tokens", "row_tokens")


class Block(NamedTuple):
    """Posts that are encoded together: a row group of a shard, some 5,000 posts."""

    path: Path
    row_group: int


@dataclass(frozen=True)
class BlockEncoder:
    """Encodes blocks; small, so that it travels to other processes with each."""

    reader: Path
    """Where `TextReader.save` wrote."""
    row_length: int
    validation_share: float
    chosen_share: float
    """Share of the posts to encode at all."""

    def __call__(self, block: Block) -> "dict[str, EncodedSplit]":
        """The block's rows, by split."""
        reader = _restored(self.reader)
        posts: dict[str, list[Post]] = {split: [] for split in SPLITS}
        for post in _posts(block):
            if is_in_share(post.id, self.chosen_share, "chosen"):
                posts["validation" if is_in_share(post.id, self.validation_share, "held-out") else "train"].append(post)
        return {split: encode_posts(posts[split], reader, self.row_length) for split in SPLITS}


class EncodedSplit(NamedTuple):
    """One split of a block: rows that are full, and the sequences of those that are not."""

    rows_RT: np.ndarray
    rest: list[np.ndarray]
    """Sequences that wait for other blocks' to share a row with."""
    sums: dict[str, int]


def list_blocks(folder: Path) -> list[Block]:
    """The blocks of all shards in `folder`, in the order the posts were written."""
    return [Block(path, group) for path in shards(folder) for group in range(pq.ParquetFile(path).num_row_groups)]


def encode_posts(posts: list[Post], reader: TextReader, row_length: int) -> EncodedSplit:
    """Encode the posts, cut long ones and pack them."""
    sums = dict.fromkeys(SUMS, 0)
    sequences: list[np.ndarray] = []
    for texts in _windows(post.whole_text for post in posts):
        tokenized = reader.chunks.read(texts)
        sums["text_bytes"] += sum(len(text.encode("utf-8", "replace")) for text in texts)
        sums["text_tokens"] += len(tokenized.ids_I)
        sums["unknown_tokens"] += int(np.count_nonzero(tokenized.ids_I == reader.unknown_id))
        ids_I = tokenized.ids_I.astype(id_type(reader))
        starts_S, lengths_S = cut_texts(tokenized, row_length - 2, reader.begins_word)
        for start, length in zip(starts_S.tolist(), lengths_S.tolist(), strict=True):
            sequence = np.empty(length + 2, ids_I.dtype)
            sequence[0], sequence[1:-1], sequence[-1] = reader.first_id, ids_I[start : start + length], reader.last_id
            sequences.append(sequence)
    packer: RowPacker[np.ndarray] = RowPacker(row_length)
    full = list(packer.add((len(sequence), sequence) for sequence in sequences))
    rows_RT = fill_rows(full, row_length, reader.padding_id, id_type(reader))
    sums |= {"rows": len(full), "row_tokens": sum(len(sequence) for row in full for sequence in row)}
    return EncodedSplit(rows_RT, [sequence for row in packer.flush() for sequence in row], sums)


def fill_rows(rows: list[list[np.ndarray]], row_length: int, padding_id: int, dtype: np.dtype) -> np.ndarray:
    """Rows of sequences as one array (R, T), padded."""
    rows_RT = np.full((len(rows), row_length), padding_id, dtype)
    for row_T, sequences in zip(rows_RT, rows, strict=True):
        end = 0
        for sequence in sequences:
            row_T[end : end + len(sequence)] = sequence
            end += len(sequence)
    return rows_RT


def id_type(reader: TextReader) -> np.dtype:
    """The smaller integer type that holds the reader's ids."""
    return np.dtype("<u2" if reader.vocab_size <= 2**16 else "<u4")


def _posts(block: Block) -> Iterator[Post]:
    """The block's posts, as far as encoding needs them."""
    with pq.ParquetFile(block.path) as file:
        table = file.read_row_group(block.row_group, columns=["id", "kind", "title", "text"])
    return (Post(**row) for row in table.to_pylist())


def _windows(texts: Iterable[str]) -> Iterator[list[str]]:
    """Lists of texts that together have not much more than TEXT_AT_ONCE characters."""
    window: list[str] = []
    characters = 0
    for text in texts:
        window.append(text)
        characters += len(text)
        if characters >= TEXT_AT_ONCE:
            yield window
            window, characters = [], 0
    if window:
        yield window


@lru_cache(maxsize=1)
def _restored(path: Path) -> TextReader:
    """The reader, once a process."""
    if parent_process() is not None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the other processes have the other cores
    return TextReader.restore(path)
