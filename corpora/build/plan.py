"""'corpora plan': time, disk and memory for a whole dump, projected from a sample that is built on one core."""

import hashlib
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from corpora.build.build import open_source
from corpora.build.exact_duplicates import FindDuplicates
from corpora.build.shard import WriteShard
from corpora.build.step import Step
from corpora.build.steps import BuildParts, PartJob
from corpora.config import CorpusConfig, PlanConfig
from corpora.post import count_posts
from corpora.sources.dump import dump_source
from corpora.sources.lines import archive_kind
from corpora.sources.source import Parts, Source, Stream
from stackbert.core.errors import StackbertError
from stackbert.core.printing import markdown_lines
from stackbert.core.workers import run_apart

SLICES = 4  # in the sample, spread over the file: early posts differ from late ones
LEADER_BYTES = 200e6  # memory of the leading process
TASK_SECONDS = 0.005  # of the leading process, to give a part to a worker and to take the result


@dataclass(frozen=True)
class Rates:
    """Measurements of a sample on one core."""

    megabytes: float
    """Size of the sample's XML."""
    posts: int
    read_seconds: float
    """Reading, cleaning and filtering."""
    find_seconds: float
    write_seconds: float
    hash_seconds: float
    """sha256 of the sample, recorded in the manifest; not parallel."""
    unpack_seconds: float
    """Decompression of an archive; not parallel."""
    scratch_bytes: int
    out_bytes: int
    worker_bytes: int
    """Peak memory of the measuring process."""


@dataclass(frozen=True)
class Projection:
    """Resources for the whole dump on a number of cores."""

    cores: int
    hours: float
    disk_gigabytes: float
    """Output and intermediate files at their largest, at the end of the build."""
    memory_gigabytes: float
    read_megabytes_per_second: float
    """Read speed that the disk must provide."""


@dataclass(frozen=True)
class Plan:
    """The measured rates and their projections."""

    path: str
    gigabytes: float
    rates: Rates
    projections: Sequence[Projection]

    def __str__(self) -> str:
        """Text for the terminal, with a Markdown table."""
        rates = self.rates
        speed = rates.megabytes / (rates.read_seconds + rates.find_seconds + rates.write_seconds)
        lines = [
            f"{self.path}: {self.gigabytes:,.1f} GB of XML, projected from a sample of {rates.megabytes:,.0f} MB with "
            f"{rates.posts:,} posts",
            f"one core: {speed:.1f} MB/s (reading and cleaning {rates.megabytes / rates.read_seconds:.1f}, finding "
            f"duplicates {rates.megabytes / rates.find_seconds:,.0f}, writing "
            f"{rates.megabytes / rates.write_seconds:,.0f}); sha256 {rates.megabytes / rates.hash_seconds:,.0f} MB/s",
        ]
        if rates.unpack_seconds:
            speed = rates.megabytes / rates.unpack_seconds
            lines.append(f"unpacking: {speed:.1f} MB/s, on one core, not parallel")
        header = ["cores", "hours", "disk GB", "memory GB", "disk MB/s"]
        table = [
            [
                f"{found.cores:,}",
                f"{found.hours:,.2f}",
                f"{found.disk_gigabytes:,.0f}",
                f"{found.memory_gigabytes:,.1f}",
                f"{found.read_megabytes_per_second:,.0f}",
            ]
            for found in self.projections
        ]
        return "\n".join([*lines, "", markdown_lines(header, table).rstrip()])


def plan_corpus(config: CorpusConfig, plan: PlanConfig, data: Path = Path(".")) -> Plan:
    """Build a sample of a dump on one core, and project time, disk and memory for the whole.

    Raises StackbertError if the source is no dump, or the sample holds no post.
    """
    if config.source != "dump":
        raise StackbertError(f"plan needs source 'dump', not '{config.source}': tables are small beside a dump")
    path = data / config.path
    open_source(config, data)  # raises an error if the path is wrong
    packed = archive_kind(path) == "7z"
    size = dump_size(path, packed)
    with tempfile.TemporaryDirectory(prefix="stackbert-plan-") as folder:
        rates = run_apart(_measure, path, config, plan.sample_megabytes, size, packed, Path(folder))
    gigabytes = plan.gigabytes or size / 1e9
    return Plan(
        config.path, gigabytes, rates, [project(rates, gigabytes, cores, config.part_megabytes) for cores in plan.cores]
    )


def project(rates: Rates, gigabytes: float, cores: int, part_megabytes: float) -> Projection:
    """The resources that `gigabytes` of XML need on `cores` cores.

    Reading, finding duplicates and writing run in parallel, by whole parts. The sha256 of the input, unpacking and
    distributing the parts do not. An archive is unpacked while its parts are read.
    """
    scale = gigabytes * 1_000 / rates.megabytes
    parts = max(1, round(gigabytes * 1_000 / part_megabytes))
    busy = -(-parts // cores) * cores / parts  # cores are idle while the last parts are built
    reading = rates.read_seconds * scale / cores * busy
    if rates.unpack_seconds:
        reading = max(reading, rates.unpack_seconds * scale)
    shared = (rates.find_seconds + rates.write_seconds) * scale / cores * busy
    hashed = 1 + rates.out_bytes / (rates.megabytes * 1e6)  # the output's sha256 is computed as well
    serial = rates.hash_seconds * scale * hashed + 2 * parts * TASK_SECONDS
    seconds = reading + shared + serial
    return Projection(
        cores,
        seconds / 3_600,
        (rates.scratch_bytes + rates.out_bytes) * scale / 1e9,
        (cores * rates.worker_bytes + LEADER_BYTES) / 1e9,
        gigabytes * 1_000 / reading if reading else 0.0,
    )


def dump_size(path: Path, packed: bool) -> int:
    """Bytes of XML."""
    if not packed:
        return path.stat().st_size
    from corpora.sources.archive import find_member
    from corpora.sources.dump import MEMBER

    return find_member(path, MEMBER)[1]


def _measure(path: Path, config: CorpusConfig, megabytes: float, size: int, packed: bool, folder: Path) -> Rates:
    """Measure a sample; runs in a process of its own, whose peak memory is that of a worker."""
    start = time.perf_counter()
    source, sampled = sample_dump(path, config, megabytes, size, packed)
    unpacking = time.perf_counter() - start if packed else 0.0
    assert isinstance(source.rows, Parts)
    job = PartJob(folder / "parts", source, config)
    job.folder.mkdir()
    count = source.rows.count
    (folder / "out").mkdir()
    reading = _seconds(BuildParts(job), count)
    finding = _seconds(FindDuplicates(job.folder, count, folder / "ranges"), 1)
    writing = _seconds(WriteShard(folder, folder / "out", 1, replace(config, near_duplicates=False), None), count)
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


def sample_dump(path: Path, config: CorpusConfig, megabytes: float, size: int, packed: bool) -> tuple[Source, float]:
    """A source of SLICES parts of the dump, and their megabytes."""
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


def _seconds(step: Step, tasks: int) -> float:
    """CPU time of all tasks of a step."""
    start = time.process_time()
    for rank in range(tasks):
        deque(step.run(None, rank, tasks), maxlen=0)
    return max(1e-6, time.process_time() - start)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
