"""Encodes one block of posts to rows: the unit of work of a process, determined by the posts' files alone."""

# T tokens in a row, R rows, S sequences, I ids of all texts

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from corpora.post import Post, is_in_share, shards
from tokenizer.encoding.packing import RowPacker
from tokenizer.encoding.reader import TextReader
from tokenizer.encoding.truncation import truncate_texts
from tokenizer.encoding.validation_split import is_validation_post

SPLITS = ("train", "validation")
BATCH_CHARACTERS = 1_000_000  # bounds a process's memory; larger batches were no faster
COUNTERS = ("rows", "text_bytes", "text_tokens", "unknown_tokens", "row_tokens")

Ids = npt.NDArray[np.unsignedinteger[Any]]
"""Token ids, uint16 or uint32: see `id_type`."""


class Block(NamedTuple):
    """Posts that are encoded together: a row group of a shard, about 5,000 posts."""

    path: Path
    row_group: int


@dataclass(frozen=True)
class BlockEncoder:
    """Encodes blocks; small, because it is sent to the worker process with each block."""

    reader: Path
    """File that `TextReader.save` wrote."""
    row_length: int
    validation_share: float
    chosen_share: float
    """Share of all posts that is encoded."""

    def __call__(self, block: Block) -> "dict[str, EncodedSplit]":
        """The block's rows, by split."""
        reader = _restore_reader(self.reader)
        posts: dict[str, list[Post]] = {split: [] for split in SPLITS}
        for post in _read_posts(block):
            if is_in_share(post.id, self.chosen_share, "chosen"):
                posts["validation" if is_validation_post(post.id, self.validation_share) else "train"].append(post)
        return {split: encode_posts(posts[split], reader, self.row_length) for split in SPLITS}


class EncodedSplit(NamedTuple):
    """One split of a block: its full rows, and the sequences left over."""

    rows_RT: Ids
    leftover: list[Ids]
    """Sequences of rows that are not full; they are packed with those of other blocks."""
    counts: dict[str, int]
    """By name, see COUNTERS."""


def list_blocks(folder: Path) -> list[Block]:
    """The blocks of all shards in `folder`, in the order the posts were written."""
    return [Block(path, group) for path in shards(folder) for group in range(pq.ParquetFile(path).num_row_groups)]


def encode_posts(posts: list[Post], reader: TextReader, row_length: int) -> EncodedSplit:
    """Encode the posts, cut long ones into several sequences and pack the sequences into rows."""
    counts = dict.fromkeys(COUNTERS, 0)
    sequences: list[Ids] = []
    for texts in _text_batches(post.whole_text for post in posts):
        encoded = reader.cached_tokenizer.encode(texts)
        counts["text_bytes"] += sum(len(text.encode("utf-8", "replace")) for text in texts)
        counts["text_tokens"] += len(encoded.ids_I)
        counts["unknown_tokens"] += int(np.count_nonzero(encoded.ids_I == reader.unknown_id))
        ids_I = encoded.ids_I.astype(id_type(reader))
        starts_S, lengths_S = truncate_texts(encoded, row_length - 2, reader.begins_word)
        for start, length in zip(starts_S.tolist(), lengths_S.tolist(), strict=True):
            sequence = np.empty(length + 2, ids_I.dtype)
            sequence[0], sequence[1:-1], sequence[-1] = reader.first_id, ids_I[start : start + length], reader.last_id
            sequences.append(sequence)
    packer: RowPacker[Ids] = RowPacker(row_length)
    full = list(packer.add((len(sequence), sequence) for sequence in sequences))
    rows_RT = fill_rows(full, row_length, reader.padding_id, id_type(reader))
    counts |= {"rows": len(full), "row_tokens": sum(len(sequence) for row in full for sequence in row)}
    return EncodedSplit(rows_RT, [sequence for row in packer.flush() for sequence in row], counts)


def fill_rows(rows: list[list[Ids]], row_length: int, padding_id: int, dtype: np.dtype[np.unsignedinteger[Any]]) -> Ids:
    """The sequences of each row as one array (R, T), padded."""
    rows_RT = np.full((len(rows), row_length), padding_id, dtype)
    for row_T, sequences in zip(rows_RT, rows, strict=True):
        end = 0
        for sequence in sequences:
            row_T[end : end + len(sequence)] = sequence
            end += len(sequence)
    return rows_RT


def id_type(reader: TextReader) -> np.dtype[np.unsignedinteger[Any]]:
    """The smaller of uint16 and uint32 that holds all ids of the vocabulary."""
    return np.dtype("<u2" if reader.vocab_size <= 2**16 else "<u4")


def _read_posts(block: Block) -> Iterator[Post]:
    """The block's posts, with the columns that encoding needs."""
    with pq.ParquetFile(block.path) as file:
        table = file.read_row_group(block.row_group, columns=["id", "kind", "title", "text"])
    return (Post(**row) for row in table.to_pylist())


def _text_batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Batches that end with the text that reaches BATCH_CHARACTERS."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


@lru_cache(maxsize=1)
def _restore_reader(path: Path) -> TextReader:
    """The reader, loaded once per process."""
    if parent_process() is not None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the other processes use the other cores
    return TextReader.restore(path)
