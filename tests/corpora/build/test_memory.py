"""The memory of a build does not depend on the size of the dump."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpora.big_dump import write
from tests.corpora.dumps import write_dump
from tests.paths import SHARED

DUMPS = SHARED / "so" / "dumps"
ROWS = int(os.environ.get("STACKBERT_ROWS", "100000"))
# RUSAGE_CHILDREN: the peak of the largest process below this one, workers included.
BUILD = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "stackbert", "corpora", "build", *sys.argv[1:]], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_megabytes(dump: Path, out: Path) -> float:
    """Peak memory of the largest process of a build with two workers."""
    options = ["--source", "dump", "--path", str(dump), "--out", str(out), "--processes", "2"]
    done = subprocess.run([sys.executable, "-c", BUILD, *options], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024 / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not DUMPS.is_dir(), reason="needs ../shared/so/dumps, whose rows it repeats")
@pytest.mark.skipif(sys.platform != "linux", reason="the system counts memory otherwise")
def test_three_times_the_rows_take_the_same_memory(tmp_path: Path) -> None:
    check_peaks(DUMPS, ROWS, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system counts memory otherwise")
def test_three_times_the_rows_of_a_small_dump_take_the_same_memory(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", 3_000, "small.xml")
    check_peaks(tmp_path / "dumps", ROWS, tmp_path)


def check_peaks(dumps: Path, count: int, folder: Path) -> None:
    """Peak memory of builds of `count` rows, and of three times as many, repeated from `dumps`."""
    peaks = []
    for rows in (count, 3 * count):
        dump = folder / "Posts.xml"
        write(dump, dumps, 0, rows)
        peaks.append(peak_megabytes(dump, folder / f"posts-{rows}"))
        print(f"{rows:,} rows, {dump.stat().st_size / 1e6:,.0f} MB of XML: peak of {peaks[-1]:.0f} MB per process")
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)
    assert max(peaks) < 300
