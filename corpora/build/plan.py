"""'corpora plan': what a whole dump will take, by a sample of it that is built here and now."""

import hashlib
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from corpora.build.build import open_source
from corpora.build.exact_duplicates import FindRepeats
from corpora.build.shard import WriteShard
from corpora.build.steps import Work, part_steps
from corpora.config import CorpusConfig, PlanConfig
from corpora.post import count_posts
from corpora.sources.dump import dump_source
from corpora.sources.lines import archive_kind
from corpora.sources.source import Parts, Source, Stream
from stackbert.core.errors import StackbertError
from stackbert.core.printing import markdown_lines

SLICES = 4  # of the sample, spread over the file: early posts are not like late ones
LEADER_BYTES = 200e6
TASK_SECONDS = 0.005  # of the leader, to hand a part to a worker and take it back


@dataclass(frozen=True)
class Rates:
    """What a sample took on one core."""

    megabytes: float
    """Size of the sample, of XML."""
    posts: int
    read_seconds: float
    """Reading, cleaning and filtering."""
    find_seconds: float
    write_seconds: float
    hash_seconds: float
    """sha256 of the sample, which the manifest names the input by; one process does that."""
    unpack_seconds: float
    """Of an archive; one process does that."""
    scratch_bytes: int
    out_bytes: int
    worker_bytes: int
    """Peak memory of the process that did it."""


@dataclass(frozen=True)
class Projection:
    """What the whole takes on so many cores."""

    cores: int
    hours: float
    disk_gigabytes: float
    """Posts and what is needed on the way, at the end of the work."""
    memory_gigabytes: float
    read_megabytes_a_second: float
    """That the disk must give."""


@dataclass(frozen=True)
class Plan:
    """Rates and what follows from them."""

    path: str
    gigabytes: float
    rates: Rates
    projections: Sequence[Projection]

    def __str__(self) -> str:
        """For the terminal, and for Markdown."""
        rates = self.rates
        speed = rates.megabytes / (rates.read_seconds + rates.find_seconds + rates.write_seconds)
        lines = [
            f"{self.path}: {self.gigabytes:,.1f} GB of XML, by a sample of {rates.megabytes:,.0f} MB with "
            f"{rates.posts:,} posts",
            f"one core: {speed:.1f} MB/s (reading and cleaning {rates.megabytes / rates.read_seconds:.1f}, finding "
            f"duplicates {rates.megabytes / rates.find_seconds:,.0f}, writing "
            f"{rates.megabytes / rates.write_seconds:,.0f}); sha256 {rates.megabytes / rates.hash_seconds:,.0f} MB/s",
        ]
        if rates.unpack_seconds:
            speed = rates.megabytes / rates.unpack_seconds
            lines.append(f"unpacking: {speed:.1f} MB/s, by one core whatever their number")
        header = ["cores", "hours", "disk GB", "memory GB", "disk MB/s"]
        table = [
            [
                f"{found.cores:,}",
                f"{found.hours:,.2f}",
                f"{found.disk_gigabytes:,.0f}",
                f"{found.memory_gigabytes:,.1f}",
                f"{found.read_megabytes_a_second:,.0f}",
            ]
            for found in self.projections
        ]
        return "\n".join([*lines, "", markdown_lines(header, table).rstrip()])


def plan_corpus(config: CorpusConfig, plan: PlanConfig, data: Path = Path(".")) -> Plan:
    """Build a sample of a dump on one core, and say what the whole takes on others like it.

    Raises StackbertError for a source that is no dump, or holds no post in the sample.
    """
    if config.source != "dump":
        raise StackbertError(f"plan needs source 'dump', not '{config.source}': tables are small beside a dump")
    path = data / config.path
    open_source(config, data)  # says what is wrong with the path
    packed = archive_kind(path) == "7z"
    size = _size(path, packed)
    with (
        tempfile.TemporaryDirectory(prefix="stackbert-plan-") as folder,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        rates = pool.submit(_measure, path, config, plan.sample_megabytes, size, packed, Path(folder)).result()
    gigabytes = plan.gigabytes or size / 1e9
    return Plan(
        config.path, gigabytes, rates, [project(rates, gigabytes, cores, config.part_megabytes) for cores in plan.cores]
    )


def project(rates: Rates, gigabytes: float, cores: int, part_megabytes: float) -> Projection:
    """What so many gigabytes take on so many cores.

    Reading, finding duplicates and writing are shared by the cores, in whole parts; the input's sha256, unpacking and
    the handing out of parts are one process's. An archive is unpacked while its parts are read.
    """
    times = gigabytes * 1_000 / rates.megabytes
    parts = max(1, round(gigabytes * 1_000 / part_megabytes))
    busy = -(-parts // cores) * cores / parts  # the last parts leave cores idle
    reading = rates.read_seconds * times / cores * busy
    if rates.unpack_seconds:
        reading = max(reading, rates.unpack_seconds * times)
    shared = (rates.find_seconds + rates.write_seconds) * times / cores * busy
    hashed = 1 + rates.out_bytes / (rates.megabytes * 1e6)  # the posts are named by their sha256 as well
    alone = rates.hash_seconds * times * hashed + 2 * parts * TASK_SECONDS
    seconds = reading + shared + alone
    return Projection(
        cores,
        seconds / 3_600,
        (rates.scratch_bytes + rates.out_bytes) * times / 1e9,
        (cores * rates.worker_bytes + LEADER_BYTES) / 1e9,
        gigabytes * 1_000 / reading if reading else 0.0,
    )


def _size(path: Path, packed: bool) -> int:
    if not packed:
        return path.stat().st_size
    from corpora.sources.archive import find_member
    from corpora.sources.dump import MEMBER

    return find_member(path, MEMBER)[1]


def _measure(path: Path, config: CorpusConfig, megabytes: float, size: int, packed: bool, folder: Path) -> Rates:
    """The rates of a sample; run in a process of its own, whose memory is a worker's."""
    start = time.perf_counter()
    source, sampled = _sample(path, config, megabytes, size, packed)
    unpacking = time.perf_counter() - start if packed else 0.0
    assert isinstance(source.rows, Parts)
    work = Work(folder / "parts", source, config)
    work.folder.mkdir()
    count = source.rows.count
    (folder / "out").mkdir()
    reading = _seconds(part_steps(work), count)
    finding = _seconds([FindRepeats(work.folder, count, folder / "ranges")], 1)
    writing = _seconds([WriteShard(folder, folder / "out", 1, replace(config, near_duplicates=False), None)], count)
    posts = count_posts(folder / "out") if any((folder / "out").iterdir()) else 0
    if not posts:
        raise StackbertError(f"{path}: no post in {count} slices of it; is it a Posts.xml?")
    start = time.perf_counter()
    hashlib.sha256(bytes(10_000_000)).hexdigest()
    hashing = (time.perf_counter() - start) * sampled / 10
    return Rates(
        sampled,
        posts,
        reading,
        finding,
        writing,
        hashing,
        unpacking,
        _bytes(folder / "parts") + _bytes(folder / "ranges"),
        _bytes(folder / "out"),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024),
    )


def _sample(path: Path, config: CorpusConfig, megabytes: float, size: int, packed: bool) -> tuple[Source, float]:
    """A source of slices of the dump, and their megabytes."""
    slices = max(1, min(SLICES, int(size // 1_000_000)))
    bytes_each = max(1, min(int(megabytes * 1e6), size) // slices)
    source = dump_source(path, replace(config, part_megabytes=bytes_each / 1e6))
    if isinstance(source.rows, Stream):
        parts = list(islice(source.rows.read(), slices))
        sampled = sum(len(block) for part in parts for _, block in part) / 1e6
        return Source(source.inputs, source.parse, Parts(len(parts), parts.__getitem__)), sampled
    rows = source.rows
    chosen = [rows.count * number // slices for number in range(slices)]
    return Source(source.inputs, source.parse, Parts(slices, lambda part: rows.read(chosen[part]))), (
        min(bytes_each * slices, size) / 1e6
    )


def _seconds(steps: list[Any], ranks: int) -> float:
    """CPU time of the steps over so many ranks."""
    start = time.process_time()
    for rank in range(ranks):
        data: Any = None
        for step in steps:
            data = step.run(data, rank, ranks)
        for _ in data:
            pass
    return max(1e-6, time.process_time() - start)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
