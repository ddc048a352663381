"""Words counted over a corpus: all that vocabulary training needs to see of it.

Memory is bounded whatever the corpus's size: stretches without white space are counted first, as text repeats itself;
when there are many distinct ones they are split into words, and when there are many words these are written out sorted
by word, to be merged at the end. Counts are 64 bits wide and the same for any number of processes.
"""

import heapq
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.post import is_in_share, shards
from stackbert.core.workers import available_cores, map_in_order
from tokenizer.encoding.ascii_pattern import narrow_to_ascii
from tokenizer.encoding.cached_tokenizer import chunk_array
from tokenizer.vocabulary.pretokenizer import build_normalizer, build_pretokenizer, word_pattern

MOST_CHUNKS = 1_000_000  # distinct, of a process: some 130 MB
MOST_WORDS = 1_000_000  # distinct, of a process: some 110 MB
ROWS_PER_BATCH = 5_000  # some 5 MB of text
CHUNKS_AT_A_TIME = 50_000
WORTH_A_PROCESS = 32_000_000  # bytes of Parquet: 2 s of counting
SLICES_PER_PROCESS = 4  # so that none waits long for the last
RUN_SCHEMA = pa.schema([("word", pa.string()), ("count", pa.int64())])
RUN_BATCH = 50_000

WordCounts = dict[str, int]


class Group(NamedTuple):
    """A row group of a shard."""

    path: Path
    number: int
    compressed_bytes: int


class WordSplitter:
    """Splits stretches of text into words as the tokenizer will that keeps `terms` whole."""

    def __init__(self, terms: Iterable[str], lowercase: bool):
        terms = tuple(terms)
        self._lowercase = lowercase
        self._normalizer, self._splitter = build_normalizer(lowercase), build_pretokenizer(terms)
        source = narrow_to_ascii(word_pattern(terms))
        self._ascii = re.compile(rf"{source}|\n", re.ASCII) if source else None

    def count(self, chunks: Mapping[str, int], words: WordCounts) -> None:
        """Add the words of each distinct chunk, as often as it occurs, to `words`."""
        plain: defaultdict[int, list[str]] = defaultdict(list)
        for chunk, count in chunks.items():
            if self._ascii and chunk.isascii() and chunk.isprintable():
                plain[count].append(chunk)
                continue
            for word, _ in self._splitter.pre_tokenize_str(self._normalizer.normalize_str(chunk)):
                words[word] = words.get(word, 0) + count
        # most chunks occur once or twice, so there are long lists with one count
        for count, alike in plain.items():
            for start in range(0, len(alike), CHUNKS_AT_A_TIME):
                for word, times in self._tally(alike[start : start + CHUNKS_AT_A_TIME]).items():
                    words[word] = words.get(word, 0) + count * times

    def _tally(self, chunks: list[str]) -> Counter[str]:
        """The words of chunks of printable ASCII, all at once: its normal form and words need no table of Unicode."""
        assert self._ascii is not None
        joined = "\n".join(chunks)
        tally = Counter(self._ascii.findall(joined.lower() if self._lowercase else joined))
        del tally["\n"]
        return tally


@dataclass(frozen=True)
class SliceCounter:
    """Counts the words of one slice of a corpus; small, so that it travels to other processes."""

    terms: tuple[str, ...]
    lowercase: bool
    title_weight: int
    """How often a title's words count."""
    validation_share: float
    """Share of posts, by a hash of the id, whose words are not counted."""
    scratch: Path
    most_chunks: int = MOST_CHUNKS
    most_words: int = MOST_WORDS

    def __call__(self, numbered: tuple[int, list[Group]]) -> list[Path]:
        """The sorted runs of words that slice number `numbered[0]` was written to."""
        number, groups = numbered
        splitter = WordSplitter(self.terms, self.lowercase)
        chunks: dict[str, int] = {}
        words: WordCounts = {}
        runs: list[Path] = []
        for texts, weight in self._texts(groups):
            for chunk, count in _chunk_counts(texts):
                chunks[chunk] = chunks.get(chunk, 0) + count * weight
            if len(chunks) >= self.most_chunks:
                splitter.count(chunks, words)
                chunks.clear()
            if len(words) >= self.most_words:
                runs.append(_write_run(words, self.scratch / f"words-{number:05d}-{len(runs):05d}.arrow"))
                words.clear()
        splitter.count(chunks, words)
        return [*runs, _write_run(words, self.scratch / f"words-{number:05d}-{len(runs):05d}.arrow")]

    def _texts(self, groups: list[Group]) -> Iterator[tuple[pa.StringArray, int]]:
        """Titles and bodies in batches, each with the weight of its words."""
        for group in groups:
            with pq.ParquetFile(group.path) as file:
                columns = ["id", "kind", "title", "text"]
                for batch in file.iter_batches(ROWS_PER_BATCH, row_groups=[group.number], columns=columns):
                    read = [
                        not is_in_share(name, self.validation_share, "held-out") for name in batch["id"].to_pylist()
                    ]
                    batch = batch.filter(pa.array(read, pa.bool_()))
                    own_title = pa.array(kind != "answer" for kind in batch["kind"].to_pylist())
                    yield batch.filter(own_title)["title"] if batch.num_rows else batch["title"], self.title_weight
                    yield batch["text"], 1


def count_words(folder: Path, counter: SliceCounter, processes: int) -> Iterator[tuple[str, int]]:
    """Yield each word of the posts in `folder` with its occurrences, in code point order; `processes` 0 is one a core.

    Runs are written to `counter.scratch`, which must exist; they take some 15 bytes a distinct word each.
    """
    groups = _groups(folder)
    size = sum(group.compressed_bytes for group in groups)
    processes = min(processes or available_cores(), max(1, size // WORTH_A_PROCESS))
    slices = enumerate(_slices(groups, 1 if processes == 1 else SLICES_PER_PROCESS * processes))
    return merged(itertools.chain.from_iterable(map_in_order(counter, slices, processes)))


def merged(runs: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """The words of sorted runs, each once with the sum of its counts."""
    rows = heapq.merge(*map(_read_run, runs), key=itemgetter(0))
    for word, found in itertools.groupby(rows, key=itemgetter(0)):
        yield word, sum(count for _, count in found)


def count_tags(folder: Path, validation_share: float) -> Counter[str]:
    """How many posts outside the held-out share have each tag; not answers, whose tags are their question's."""
    counts: Counter[str] = Counter()
    for group in _groups(folder):
        with pq.ParquetFile(group.path) as file:
            rows = file.read_row_group(group.number, columns=["id", "kind", "tags"])
        for name, kind, tags in zip(*(rows[column].to_pylist() for column in ("id", "kind", "tags")), strict=True):
            if tags and kind != "answer" and not is_in_share(name, validation_share, "held-out"):
                counts.update(tags)
    return counts


def _chunk_counts(texts: pa.StringArray) -> Iterator[tuple[str, int]]:
    """Each distinct stretch without white space, with its occurrences."""
    if not len(texts):
        return iter(())
    whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts.fill_null("")), "\n")
    found = chunk_array(np.frombuffer(whole[0].as_buffer(), np.uint8)).value_counts()
    return zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)


def _groups(folder: Path) -> list[Group]:
    groups = []
    for path in shards(folder):
        metadata = pq.read_metadata(path)
        for number in range(metadata.num_row_groups):
            row_group = metadata.row_group(number)
            size = sum(row_group.column(place).total_compressed_size for place in range(row_group.num_columns))
            groups.append(Group(path, number, size))
    return groups


def _slices(groups: list[Group], number: int) -> list[list[Group]]:
    """The groups in at most `number` runs of neighbours of about equal size."""
    ends_G = np.cumsum([group.compressed_bytes for group in groups])
    place_G = ((ends_G - 1) * number // ends_G[-1]).tolist()
    keyed = itertools.groupby(zip(place_G, groups, strict=True), key=itemgetter(0))
    return [[group for _, group in run] for _, run in keyed]


def _write_run(words: WordCounts, path: Path) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, RUN_SCHEMA) as writer:
        ordered = iter(sorted(words.items()))
        while batch := list(itertools.islice(ordered, RUN_BATCH)):
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
