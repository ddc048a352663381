"""Encodes one block of posts to rows: the unit of work of a process, determined by the posts' files alone."""

# T tokens in a row, R rows, S sequences, I ids of all texts, P pairs of a text and its target, N posts

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from corpora.arrays import Keys
from corpora.post import Post, is_in_share
from corpora.post_pairs import LINK_COLUMNS, PairLinks, PairSource, TextPair, open_pair_links
from corpora.text_keys import text_keys
from tokenizer.encoding.packed_rows import SPLITS
from tokenizer.encoding.packing import RowPacker
from tokenizer.encoding.pair_texts import encode_pairs, encode_titles, find_pairs, pair_keys
from tokenizer.encoding.reader import TextReader
from tokenizer.encoding.tag_targets import load_targets
from tokenizer.encoding.truncation import truncate_texts
from tokenizer.encoding.validation_split import is_validation_post

BATCH_CHARACTERS = 1_000_000  # bounds a process's memory; larger batches were no faster
NO_TARGETS = np.zeros(0, np.uint32)
COUNTERS = ("texts", "rows", "text_bytes", "text_tokens", "unknown_tokens", "row_tokens")

Ids = npt.NDArray[np.unsignedinteger[Any]]
"""Token ids, uint16 or uint32: see `id_type`."""


Texts = TypeVar("Texts", Post, TextPair)

Pairs = npt.NDArray[np.uint32]
"""(P, 2): the number of a text in its row, from 1, and the id of a target that it has."""


class Sequence(NamedTuple):
    """A piece of a row: token ids from [CLS] to [SEP], and the ids of its text's targets; or a pair of two texts."""

    ids: Ids
    targets: npt.NDArray[np.uint32]


class Block(NamedTuple):
    """Posts that are encoded together: a row group of a shard, about 5,000 posts."""

    path: Path
    row_group: int
    weight: float = 1.0
    """Share of its posts that may be encoded."""


@dataclass(frozen=True)
class BlockEncoder:
    """Encodes blocks; small, because it is sent to the worker process with each block."""

    reader: Path
    """File that `TextReader.save` wrote."""
    row_length: int
    validation_share: float
    chosen_share: float
    """Share of all posts, after their weights, that is encoded."""
    max_text_tokens: int = 0
    """Tokens of a post that are encoded, from its first; 0: all."""
    targets: Path | None = None
    """File that `save_targets` wrote, if texts get their tags as targets."""
    pair_tokens: int = 0
    """Most tokens of a title and of a body, if posts become pairs of them, or of a title alone."""
    bag_tokens: int = 0
    """Tokens of a body that give the words to predict, if titles get them as targets."""
    pair_sources: tuple[PairSource, ...] = ("title-body",)
    pair_links: Path | None = None
    """Folder that `save_pair_links` wrote, for sources besides title-body."""

    def __call__(self, block: Block) -> "dict[str, EncodedSplit]":
        """The block's rows, by split."""
        reader = _restore_reader(self.reader)
        if self.pair_tokens:
            return self._encode_pairs(block, reader)
        target_ids = _restore_targets(self.targets) if self.targets else None
        posts: dict[str, list[Post]] = {split: [] for split in SPLITS}
        for post in _read_posts(block):
            if target_ids is not None and target_ids.keys().isdisjoint(post.tags):
                continue
            if is_in_share(post.id, self.chosen_share * block.weight, "chosen"):
                posts["validation" if is_validation_post(post.id, self.validation_share) else "train"].append(post)
        return {
            split: encode_posts(posts[split], reader, self.row_length, self.max_text_tokens, target_ids)
            for split in SPLITS
        }

    def _encode_pairs(self, block: Block, reader: TextReader) -> "dict[str, EncodedSplit]":
        """A pair is chosen by its question, and is one of validation where either post is."""
        links = _open_links(self.pair_links) if self.pair_links else None
        pairs: dict[str, list[TextPair]] = {split: [] for split in SPLITS}
        for post in _read_posts(block, LINK_COLUMNS if links else ()):
            for pair in find_pairs(post, self.pair_sources, links):
                if is_in_share(pair.post_ids[0], self.chosen_share * block.weight, "chosen"):
                    is_validation = any(is_validation_post(each, self.validation_share) for each in pair.post_ids)
                    pairs["validation" if is_validation else "train"].append(pair)
        sizes = self.row_length, self.pair_tokens, self.bag_tokens
        counted = self.pair_sources if links else ()
        return {split: encode_text_pairs(pairs[split], reader, *sizes, counted) for split in SPLITS}


class EncodedSplit(NamedTuple):
    """One split of a block: its full rows, and the sequences left over."""

    rows_RT: Ids
    pairs_P2: Pairs
    """Those of all rows, in order."""
    pair_counts_R: npt.NDArray[np.uint32]
    """Number of pairs of each row."""
    keys_N: Keys
    """Key of the whole text of each post that has targets, or keys of those with pairs, to find test posts among them.
    """
    leftover: list[Sequence]
    """Sequences of rows that are not full; they are packed with those of other blocks."""
    counts: dict[str, int]
    """By name, see COUNTERS."""


def list_blocks(weights: Mapping[Path, float]) -> list[Block]:
    """The blocks of some shards, in the order the posts were written; each with the share of its shard's posts."""
    return [
        Block(path, group, weight)
        for path, weight in weights.items()
        for group in range(pq.ParquetFile(path).num_row_groups)
    ]


def encode_posts(
    posts: list[Post],
    reader: TextReader,
    row_length: int,
    max_text_tokens: int = 0,
    target_ids: Mapping[str, int] | None = None,
) -> EncodedSplit:
    """Encode the posts, cut long ones into several sequences and pack the sequences into rows.

    With `max_text_tokens` a post gives one sequence, of its first tokens. `target_ids` maps the tags that are targets
    to their ids.
    """
    counts = dict.fromkeys(COUNTERS, 0) | {"texts": len(posts)}
    sequences: list[Sequence] = []
    for batch in _post_batches(posts):
        texts = [post.whole_text for post in batch]
        encoded = reader.cached_tokenizer.encode(texts)
        ids_I = encoded.ids_I.astype(id_type(reader))
        starts_S, lengths_S, texts_S = truncate_texts(
            encoded, (max_text_tokens or row_length) - 2, reader.begins_word, first_only=max_text_tokens > 0
        )
        targets_of = [_targets(post, target_ids) for post in batch]
        for start, length, text in zip(starts_S.tolist(), lengths_S.tolist(), texts_S.tolist(), strict=True):
            ids = np.empty(length + 2, ids_I.dtype)
            ids[0], ids[1:-1], ids[-1] = reader.first_id, ids_I[start : start + length], reader.last_id
            sequences.append(Sequence(ids, targets_of[text]))
        counts["text_bytes"] += sum(len(text.encode("utf-8", "replace")) for text in texts)
        counts["text_tokens"] += len(encoded.ids_I)
        counts["unknown_tokens"] += int(np.count_nonzero(encoded.ids_I == reader.unknown_id))
    return _pack(sequences, _keys(posts if target_ids else []), counts, reader, row_length)


def encode_text_pairs(
    text_pairs: list[TextPair],
    reader: TextReader,
    row_length: int,
    pair_tokens: int,
    bag_tokens: int = 0,
    counted: tuple[PairSource, ...] = (),
) -> EncodedSplit:
    """Encode both texts of each pair, at most `pair_tokens` of each, and pack the pairs into rows.

    With `bag_tokens` the title alone, whose targets are the distinct ones of so many of the body's tokens. `counted`:
    sources whose pairs are counted by their names.
    """
    counts = dict.fromkeys(COUNTERS, 0)
    of_sources: Counter[str] = Counter(dict.fromkeys(counted, 0))
    sequences: list[Sequence] = []
    for batch in _post_batches(text_pairs):
        if bag_tokens:
            titles, ids_I = encode_titles(batch, reader, pair_tokens, bag_tokens, id_type(reader))
            sequences += [Sequence(*each) for each in titles]
            texts = [pair.title for pair in batch]
        else:
            pairs, numbers, ids_I = encode_pairs(batch, reader, pair_tokens, id_type(reader))
            sequences += [Sequence(ids, NO_TARGETS) for ids in pairs]
            of_sources.update(batch[number].source for number in numbers if counted)
            texts = [pair.whole_text for pair in batch]
        counts["text_bytes"] += sum(len(text.encode("utf-8", "replace")) for text in texts)
        counts["text_tokens"] += len(ids_I)
        counts["unknown_tokens"] += int(np.count_nonzero(ids_I == reader.unknown_id))
    counts["texts"] = len(sequences)
    keys_N = np.concatenate([np.zeros(0, np.uint64), *map(pair_keys, _post_batches(text_pairs))])
    return _pack(sequences, keys_N, counts | of_sources, reader, row_length)


def _pack(
    sequences: list[Sequence], keys_N: Keys, counts: dict[str, int], reader: TextReader, row_length: int
) -> EncodedSplit:
    packer: RowPacker[Sequence] = RowPacker(row_length)
    full = list(packer.add((len(sequence.ids), sequence) for sequence in sequences))
    counts |= {"rows": len(full), "row_tokens": sum(len(sequence.ids) for row in full for sequence in row)}
    rows_RT = fill_rows(full, row_length, reader.padding_id, id_type(reader))
    leftover = [sequence for row in packer.flush() for sequence in row]
    return EncodedSplit(rows_RT, *pairs_of(full), keys_N, leftover, counts)


def fill_rows(
    rows: list[list[Sequence]], row_length: int, padding_id: int, dtype: np.dtype[np.unsignedinteger[Any]]
) -> Ids:
    """The sequences of each row as one array (R, T), padded."""
    rows_RT = np.full((len(rows), row_length), padding_id, dtype)
    for row_T, sequences in zip(rows_RT, rows, strict=True):
        end = 0
        for ids, _ in sequences:
            row_T[end : end + len(ids)] = ids
            end += len(ids)
    return rows_RT


def pairs_of(rows: list[list[Sequence]]) -> tuple[Pairs, npt.NDArray[np.uint32]]:
    """The pairs of text and target of all rows, and each row's number of them."""
    pairs = [
        (number, target)
        for row in rows
        for number, sequence in enumerate(row, 1)
        for target in sequence.targets.tolist()
    ]
    counts = [sum(len(sequence.targets) for sequence in row) for row in rows]
    return np.array(pairs, np.uint32).reshape(-1, 2), np.array(counts, np.uint32)


def id_type(reader: TextReader) -> np.dtype[np.unsignedinteger[Any]]:
    """The smaller of uint16 and uint32 that holds all ids of the vocabulary."""
    return np.dtype("<u2" if reader.vocab_size <= 2**16 else "<u4")


def _read_posts(block: Block, columns: Iterable[str] = ()) -> Iterator[Post]:
    """The block's posts, with the columns that encoding needs and further ones."""
    with pq.ParquetFile(block.path) as file:
        table = file.read_row_group(block.row_group, columns=["id", "kind", "title", "text", "tags", *columns])
    return (Post(**{**row, "tags": tuple(row["tags"])}) for row in table.to_pylist())


def _targets(post: Post, target_ids: Mapping[str, int] | None) -> npt.NDArray[np.uint32]:
    if not target_ids:
        return NO_TARGETS
    return np.array([target_ids[tag] for tag in post.tags if tag in target_ids], np.uint32)


def _keys(posts: list[Post]) -> Keys:
    found = [
        text_keys([""] * len(batch), [post.whole_text for post in batch]).wholes_N for batch in _post_batches(posts)
    ]
    return np.concatenate([np.zeros(0, np.uint64), *found])


def _post_batches(posts: Iterable[Texts]) -> Iterator[list[Texts]]:
    """Batches that end with the post or pair that reaches BATCH_CHARACTERS."""
    batch: list[Texts] = []
    characters = 0
    for post in posts:
        batch.append(post)
        characters += len(post.title) + len(post.text)
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


@lru_cache(maxsize=1)
def _open_links(folder: Path) -> PairLinks:
    """The links, opened once per process."""
    return open_pair_links(folder)


@lru_cache(maxsize=1)
def _restore_targets(path: Path) -> dict[str, int]:
    """Tag -> id of the target."""
    return {name: number for number, name in enumerate(load_targets(path))}
