"""Counts the words of a corpus, from which a vocabulary is trained.

Memory does not grow with the corpus. Chunks (runs of characters without white space) are counted first, since most of
them repeat; when there are many distinct chunks they are split into words, and when there are many distinct words
these are written to disk as a sorted run. The runs are merged at the end. Counts have 64 bits and do not depend on the
number of processes.
"""

import heapq
import itertools
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.post import shards
from stackbert.core.progress import Progress
from stackbert.core.workers import available_cores, map_in_order
from tokenizer.encoding.ascii_pattern import narrow_to_ascii
from tokenizer.encoding.cached_tokenizer import chunk_array
from tokenizer.encoding.validation_split import is_validation_post
from tokenizer.vocabulary.base_steps import OUR_STEPS, BaseSteps
from tokenizer.vocabulary.pretokenizer import word_pattern

MAX_CHUNKS = 1_000_000  # distinct ones in a process's memory, about 130 MB
MAX_WORDS = 1_000_000  # distinct ones in a process's memory, about 110 MB
POSTS_PER_BATCH = 5_000  # about 5 MB of text
CHUNKS_PER_BATCH = 50_000
BYTES_PER_PROCESS = 32_000_000  # of Parquet, 2 s of counting; with less another process is not worth its start
SLICES_PER_PROCESS = 4  # so that the processes finish at about the same time
MAX_SLICE_BYTES = 512_000_000  # of Parquet, about 30 s of counting; progress is shown after each slice
RUN_SCHEMA = pa.schema([("word", pa.string()), ("count", pa.int64())])
WORDS_PER_RUN_BATCH = 50_000

WordCounts = dict[str, int]


class RowGroup(NamedTuple):
    """A row group of a shard."""

    path: Path
    number: int
    compressed_bytes: int


class WordCounter:
    """Splits chunks into words like the tokenizer that never splits `terms`, and counts the words.

    `steps` are those of a base whose vocabulary is extended.
    """

    def __init__(self, terms: Iterable[str], lowercase: bool, steps: BaseSteps = OUR_STEPS) -> None:
        terms = tuple(terms)
        self._lowercase = lowercase
        self._normalizer, self._splitter = steps.build_normalizer(lowercase), steps.build_pretokenizer(terms)
        source = narrow_to_ascii(word_pattern(terms)) if steps.are_ours else None
        self._ascii = re.compile(rf"{source}|\n", re.ASCII) if source else None

    def count(self, chunks: Mapping[str, int], words: WordCounts) -> None:
        """Add the words of the distinct `chunks`, times the count of each, to `words`."""
        plain: defaultdict[int, list[str]] = defaultdict(list)
        for chunk, count in chunks.items():
            if self._ascii and chunk.isascii() and chunk.isprintable():
                plain[count].append(chunk)
                continue
            normalized = self._normalizer.normalize_str(chunk) if self._normalizer else chunk
            for word, _ in self._splitter.pre_tokenize_str(normalized):
                words[word] = words.get(word, 0) + count
        # most chunks occur once or twice, so chunks with the same count are counted together
        for count, same_count in plain.items():
            for start in range(0, len(same_count), CHUNKS_PER_BATCH):
                for word, times in self._count_plain(same_count[start : start + CHUNKS_PER_BATCH]).items():
                    words[word] = words.get(word, 0) + count * times

    def _count_plain(self, chunks: list[str]) -> Counter[str]:
        """The words of chunks of printable ASCII, which Python normalizes and splits without Unicode tables."""
        assert self._ascii is not None
        joined = "\n".join(chunks)
        counts = Counter(self._ascii.findall(joined.lower() if self._lowercase else joined))
        del counts["\n"]
        return counts


@dataclass(frozen=True)
class SliceCounter:
    """Counts the words of one slice of a corpus; small, because it is sent to other processes."""

    terms: tuple[str, ...]
    lowercase: bool
    title_weight: int
    """Factor on the counts of a title's words."""
    validation_share: float
    """Share of posts, by a hash of the id, whose words are not counted."""
    scratch: Path
    """Existing folder to which runs are written."""
    max_chunks: int = MAX_CHUNKS
    max_words: int = MAX_WORDS
    steps: BaseSteps = OUR_STEPS

    def __call__(self, numbered: tuple[int, list[RowGroup]]) -> list[Path]:
        """Count the words of the (slice number, row groups); returns the sorted runs they are written to."""
        number, groups = numbered
        counter = WordCounter(self.terms, self.lowercase, self.steps)
        chunks: dict[str, int] = {}
        words: WordCounts = {}
        runs: list[Path] = []
        for texts, weight in self._texts(groups):
            for chunk, count in _chunk_counts(texts):
                chunks[chunk] = chunks.get(chunk, 0) + count * weight
            if len(chunks) >= self.max_chunks:
                counter.count(chunks, words)
                chunks.clear()
            if len(words) >= self.max_words:
                runs.append(_write_run(words, self.scratch / f"words-{number:05d}-{len(runs):05d}.arrow"))
                words.clear()
        counter.count(chunks, words)
        return [*runs, _write_run(words, self.scratch / f"words-{number:05d}-{len(runs):05d}.arrow")]

    def _texts(self, groups: list[RowGroup]) -> Iterator[tuple[pa.StringArray, int]]:
        """Batches of titles and of bodies, each with the weight of its words."""
        for group in groups:
            with pq.ParquetFile(group.path) as file:
                columns = ["id", "kind", "title", "text"]
                for batch in file.iter_batches(POSTS_PER_BATCH, row_groups=[group.number], columns=columns):
                    ids = batch["id"].to_pylist()
                    is_training = [not is_validation_post(post_id, self.validation_share) for post_id in ids]
                    batch = batch.filter(pa.array(is_training, pa.bool_()))
                    # an answer's title is a copy of its question's
                    has_own_title = pa.array(kind != "answer" for kind in batch["kind"].to_pylist())
                    yield batch.filter(has_own_title)["title"] if batch.num_rows else batch["title"], self.title_weight
                    yield batch["text"], 1


def count_words(folder: Path, counter: SliceCounter, processes: int) -> list[Path]:
    """The sorted runs of the words of the posts in `folder` with their occurrences, for `merge_runs`.

    `processes` 0 means one per core. The runs in `counter.scratch` take about 15 bytes per distinct word each.
    """
    groups = _row_groups(folder)
    size = sum(group.compressed_bytes for group in groups)
    processes = min(processes or available_cores(), max(1, size // BYTES_PER_PROCESS))
    least = 1 if processes == 1 else SLICES_PER_PROCESS * processes
    slices = _slices(groups, max(least, size // MAX_SLICE_BYTES))
    runs: list[Path] = []
    done, start = 0, time.monotonic()
    with Progress("counting words", len(slices), unit="slices") as progress:
        for groups_done, written in zip(slices, map_in_order(counter, enumerate(slices), processes), strict=True):
            runs += written
            done += sum(group.compressed_bytes for group in groups_done)
            progress.advance(note=f"{done / 1e6 / max(time.monotonic() - start, 1e-6):.1f} MB/s of Parquet")
    return runs


def merge_runs(runs: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """Merge sorted runs: each word once, in code point order, with the sum of its counts."""
    rows = heapq.merge(*map(_read_run, runs), key=itemgetter(0))
    for word, found in itertools.groupby(rows, key=itemgetter(0)):
        yield word, sum(count for _, count in found)


def count_tags(folder: Path, validation_share: float) -> Counter[str]:
    """Number of posts with each tag, without validation posts and answers (which copy their question's tags)."""
    counts: Counter[str] = Counter()
    groups = _row_groups(folder)
    with Progress("counting tags", len(groups), unit="row groups") as progress:
        for group in groups:
            with pq.ParquetFile(group.path) as file:
                rows = file.read_row_group(group.number, columns=["id", "kind", "tags"])
            columns = (rows[column].to_pylist() for column in ("id", "kind", "tags"))
            for post_id, kind, tags in zip(*columns, strict=True):
                if tags and kind != "answer" and not is_validation_post(post_id, validation_share):
                    counts.update(tags)
            progress.advance()
    return counts


def _chunk_counts(texts: pa.StringArray) -> Iterator[tuple[str, int]]:
    """Each distinct chunk with its occurrences."""
    if not len(texts):
        return iter(())
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts.fill_null("")), "\n")
    found = chunk_array(np.frombuffer(whole[0].as_buffer(), np.uint8)).value_counts()
    return zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)


def _row_groups(folder: Path) -> list[RowGroup]:
    groups = []
    for path in shards(folder):
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            row_group = metadata.row_group(number)
            size = sum(row_group.column(column).total_compressed_size for column in range(row_group.num_columns))
            groups.append(RowGroup(path, number, size))
    return groups


def _slices(groups: list[RowGroup], number: int) -> list[list[RowGroup]]:
    """The row groups in at most `number` slices of consecutive ones, of about equal size."""
    # G row groups
    ends_G: npt.NDArray[np.int64] = np.cumsum([group.compressed_bytes for group in groups])
    slice_G = ((ends_G - 1) * number // ends_G[-1]).tolist()
    keyed = itertools.groupby(zip(slice_G, groups, strict=True), key=itemgetter(0))
    return [[group for _, group in numbered] for _, numbered in keyed]


def _write_run(words: WordCounts, path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, RUN_SCHEMA) as writer:
        ordered = iter(sorted(words.items()))
        while batch := list(itertools.islice(ordered, WORDS_PER_RUN_BATCH)):
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*batch, strict=True), RUN_SCHEMA, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=RUN_SCHEMA))
    return path


def _read_run(path: Path) -> Iterator[tuple[str, int]]:
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            yield from zip(batch["word"].to_pylist(), batch["count"].to_pylist(), strict=True)
