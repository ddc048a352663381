"""What it will take to build a corpus from a dump: measured on its beginning, here, with the real stage."""

import contextlib
import io
import math
import multiprocessing
import resource
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from corpora.build import build_corpus
from corpora.config import CorpusConfig
from corpora.duplicates import KEY_BYTES
from corpora.errors import StackbertError
from corpora.plan_sample import Head, take_head
from corpora.workers import available_cores

SAMPLE_MEGABYTES = 32
SMALL_SAMPLE = 8_000_000  # bytes; below, starting up is much of what is timed
LOOK_SECONDS = 0.05  # between two looks at the disk


@dataclass(frozen=True)
class Run:
    """One build of a sample."""

    bytes: int
    """Of XML read."""
    seconds: float
    posts: int
    output_bytes: int
    disk_bytes: int
    """Written at most at a time: output and scratch."""
    main_bytes: int
    """Memory of the process that leads, at most."""
    worker_bytes: int
    """Memory of its largest worker; 0 where it did the work itself."""


@dataclass(frozen=True)
class Rates:
    """What a dump of a size takes, from the runs."""

    serial: float
    """Seconds a byte that no further core shortens."""
    parallel: float
    """Seconds a byte of one core that further cores share."""
    unpack: float
    """Seconds a byte of XML in the decompressor, which is one stream; 0 for a dump that is not packed."""
    measured_cores: int

    def seconds(self, size: int, cores: int) -> float:
        """For `size` bytes of XML; on several cores, one unpacks while the others go on."""
        if cores == 1 or not self.unpack:
            return size * (self.unpack + self.serial + self.parallel / cores)
        return size * max(self.unpack, self.serial + self.parallel / (cores - 1))

    def bound(self, cores: int) -> str:
        """What the time mostly is."""
        shares = {"unpacking": self.unpack, "one process": self.serial, "all cores": self.parallel / cores}
        return max(shares, key=lambda name: shares[name])


@dataclass(frozen=True)
class Plan:
    """The figures for a dump."""

    dump_bytes: int
    rates: Rates
    run: Run
    """The larger sample, built on all cores of this machine."""
    cores: tuple[int, ...]

    def __str__(self) -> str:
        """A table for the terminal, and what it assumes."""
        rates, run, size = self.rates, self.run, self.dump_bytes
        table = [f"{'cores':>8}{'hours':>10}{'MB/s':>9}{'memory, GB':>12}  most of the time"]
        for cores in self.cores:
            seconds = rates.seconds(size, cores)
            memory = self.memory_bytes(cores) / 1e9
            rate = size / seconds / 1e6
            table.append(f"{cores:>8,}{seconds / 3600:>10.2f}{rate:>9.1f}{memory:>12.1f}  {rates.bound(cores)}")
        grown = size / run.bytes
        return "\n".join(
            [
                f"A dump of {size / 1e9:,.2f} GB of XML, from a sample of {run.bytes / 1e6:,.1f} MB built here:",
                *table,
                f"disk: {run.output_bytes * grown / 1e9:,.2f} GB of output; with scratch at most "
                f"{run.disk_bytes * grown / 1e9:,.2f} GB beside the dump",
                f"one core: {1e-6 / (rates.serial + rates.parallel):,.1f} MB/s; "
                f"serial: {rates.serial / (rates.serial + rates.parallel):.0%} of that time"
                + (f"; the decompressor: {1e-6 / rates.unpack:,.1f} MB/s, one stream" if rates.unpack else ""),
                *self.assumptions(),
            ]
        )

    def memory_bytes(self, cores: int) -> float:
        """The sample's processes, and the keys of all posts."""
        keys = self.run.posts / self.run.bytes * self.dump_bytes * KEY_BYTES
        workers = cores * self.run.worker_bytes if cores > 1 else 0
        return self.run.main_bytes + workers + keys

    def assumptions(self) -> list[str]:
        """What the figures take for granted, a sentence each."""
        measured = self.rates.measured_cores
        split = (
            f"what one process does alone was told from the rest by runs on 1 and {measured} cores, and stays the same "
            f"a byte; beyond some {8 * measured} cores this is a rough guess"
            if measured > 1
            else "this machine has one core, so all of the work is taken to be shared by further cores: a best case"
        )
        found = [
            "the rest of the dump is like its beginning, which holds the oldest posts: longer ones take more memory",
            split,
            "all cores are as quick as this machine's, the disk keeps up with the MB/s above, and nothing else runs",
        ]
        if self.rates.unpack:
            found.append("on several cores one unpacks while the others go on with what it gave them")
        if self.run.bytes < SMALL_SAMPLE:
            found.append("the sample is small, so that starting up may be much of its time: take another dump for it")
        return ["assumed:", *(f"- {assumption}" for assumption in found)]


def plan_build(
    path: Path, cores: Sequence[int] = (1, 16, 256), gigabytes: float | None = None, megabytes: float = SAMPLE_MEGABYTES
) -> Plan:
    """Build the first `megabytes` of a dump, and half of them, on one core and on all, and project from that.

    `path` is a Posts.xml or its .7z; `gigabytes` of XML are projected instead of its own size where given. Everything
    is written to a temporary folder. Raises StackbertError for what is no dump.
    """
    if not cores or min(cores) < 1 or (gigabytes is not None and not 0 < gigabytes < math.inf) or not megabytes > 0:
        raise StackbertError("cores must be 1 or more; gigabytes and megabytes above 0")
    with tempfile.TemporaryDirectory(prefix="stackbert-plan-") as name:
        folder = Path(name)
        whole = take_head(path, folder / "whole.xml", int(megabytes * 1e6))
        half = take_head(whole.path, folder / "half.xml", whole.bytes // 2)
        if not half.bytes:
            raise StackbertError(f"{path}: its first {whole.bytes:,} bytes hold no two rows; name a dump with more")
        processes = available_cores()
        runs = {(head.path, count): run_build(head, count) for count in {1: 0, processes: 0} for head in (half, whole)}
    one, more = (_marginal(runs[half.path, count], runs[whole.path, count]) for count in (1, processes))
    parallel = min(max((one - more) / (1 - 1 / processes), 0.0), one) if processes > 1 else one
    unpack = whole.unpack_seconds / whole.bytes
    size = int(gigabytes * 1e9) if gigabytes is not None else whole.dump_bytes
    rates = Rates(one - parallel, parallel, unpack, processes)
    return Plan(size, rates, runs[whole.path, processes], tuple(cores))


def run_build(head: Head, processes: int) -> Run:
    """Build a sample in a process of its own, whose memory is then the build's, and watch its disk."""
    folder = Path(tempfile.mkdtemp(dir=head.path.parent))
    disk = 0
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        future = pool.submit(_build, head.path, folder / "out", processes)
        while wait([future], LOOK_SECONDS).not_done:
            disk = max(disk, _size(folder))
        seconds, posts, main_bytes, worker_bytes = future.result()
    output = _size(folder)
    return Run(head.bytes, seconds, posts, output, max(disk, output), main_bytes, worker_bytes)


def _build(sample: Path, out: Path, processes: int) -> tuple[float, int, int, int]:
    """Seconds, posts, and memory of this process and of its largest child."""
    config = CorpusConfig(source="dump", path=str(sample), processes=processes)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        made = build_corpus(out, config)
    own, child = (resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return made.seconds, made.counts["kept"], own, child


def _marginal(half: Run, whole: Run) -> float:
    """Seconds a byte without the start; with it where the samples are too small to tell."""
    slope = (whole.seconds - half.seconds) / (whole.bytes - half.bytes)
    return slope if slope > 0 else whole.seconds / whole.bytes


def _size(folder: Path) -> int:
    """Bytes of a folder's files, as far as they are still there."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total
