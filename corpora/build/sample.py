"""A sample of a source, spread over it, to measure what building the whole corpus takes."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from corpora.build.build import open_source
from corpora.build.plan import dump_size, sample_dump
from corpora.config import CorpusConfig
from corpora.sources.lines import archive_kind
from corpora.sources.source import Parts, Source, Stream
from stackbert.core.errors import require
from stackbert.core.workers import available_cores

# N rows of a part

SEED = 0
DUMP_ROW_BYTES = 1_500  # of XML, on average on Stack Overflow
HASHED_BYTES = 10_000_000  # to measure the speed of sha256


@dataclass(frozen=True)
class Sample:
    """Rows of a source, drawn at random: rows at even distances would be alike where a source repeats itself."""

    source: Source
    rows: list[Any]
    share: float
    """Of the whole source."""
    parts: int
    """Of the whole source; built in parallel."""
    seconds: float
    """Of what one process does for the whole source: reading it, if it is a stream, and its sha256."""

    def reduced(self, share: float) -> "Sample":
        """About this share of the whole source; a sample of less is returned as it is."""
        rows = _drawn(self.rows, round(len(self.rows) * min(1.0, share / self.share)))
        return replace(self, rows=rows, share=self.share * len(rows) / len(self.rows))

    def thinned(self, step: int) -> Source:
        """One in `step` rows of the sample as a source, in as many parts as are built at a time."""
        rows = _drawn(self.rows, round(len(self.rows) / step))
        size = max(1, -(-len(rows) // min(self.parts, available_cores())))
        pieces = [rows[start : start + size] for start in range(0, len(rows), size)]
        # strings as inputs: the sample's are not hashed
        inputs: dict[str, Path | str] = {"sample": f"{len(rows)} rows"}
        return replace(self.source, inputs=inputs, rows=Parts(len(pieces), pieces.__getitem__))


def sample_source(config: CorpusConfig, data: Path, most: int, seconds: float) -> Sample:
    """At most `most` rows of the source of a corpus, and some half as many at least if it has them.

    A stream is read to its end, to count its rows; Parquet, whose files tell their number, for `seconds` at most.
    Raises StackbertError as `build_corpus` does.
    """
    source, path = open_source(config, data), data / config.path
    hashing = _hash_seconds(source)
    if config.source == "dump":
        packed = archive_kind(path) == "7z"
        start, size = time.monotonic(), dump_size(path, packed)
        sampled, megabytes = sample_dump(path, config, most * DUMP_ROW_BYTES / 1e6, size, packed)
        assert isinstance(sampled.rows, Parts)
        units = [unit for part in range(sampled.rows.count) for unit in sampled.rows.read(part)]
        share = min(1.0, megabytes * 1e6 / size)
        unpacking = (time.monotonic() - start) / share if packed else 0.0
        parts = max(1, round(size / config.part_bytes))
        return Sample(sampled, units, share, parts, unpacking + hashing)
    assert isinstance(source.rows, Stream)
    known = _parquet_rows(path) if config.source == "table" else 0
    start, drawn, count, parts, rate = time.monotonic(), list[tuple[float, Any]](), 0, 0, 1.0
    for part in source.rows.read():
        numbers_N = np.random.default_rng((SEED, parts)).random(len(part))
        drawn += [(numbers_N[n], part[n]) for n in np.flatnonzero(numbers_N < rate)]
        parts += 1
        count += len(part)
        while len(drawn) > most:
            rate /= 2
            drawn = [(number, row) for number, row in drawn if number < rate]
        if known and time.monotonic() - start > seconds:
            break
    require(count > 0, f"{config.path or config.source}: holds no row")
    whole = max(known, count)
    reading = (time.monotonic() - start) * whole / count
    rows = [row for _, row in drawn]
    return Sample(source, rows, len(rows) / whole, -(-parts * whole // count), reading + hashing)


def _drawn(rows: list[Any], count: int) -> list[Any]:
    """So many of the rows, at least one, in their order."""
    chosen_N = np.random.default_rng(SEED).permutation(len(rows))[: max(1, count)]
    return [rows[number] for number in sorted(chosen_N)]


def _parquet_rows(path: Path) -> int:
    """Rows of a Parquet file, or of a folder of them, by their footers; 0 for anything else."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path] if path.suffix == ".parquet" else []
    return sum(int(pq.ParquetFile(file).metadata.num_rows) for file in files)


def _hash_seconds(source: Source) -> float:
    """Seconds for the sha256 of the source's files, by which the manifest identifies them."""
    paths = [value for value in source.inputs.values() if isinstance(value, Path)]
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    total = sum(file.stat().st_size for file in files if file.is_file())
    start = time.perf_counter()
    hashlib.sha256(bytes(HASHED_BYTES)).hexdigest()
    return (time.perf_counter() - start) * total / HASHED_BYTES
