"""The memory of a build does not grow with the dump."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.corpora.big_dump import write
from tests.paths import SHARED

DUMPS = SHARED / "so" / "dumps"
ROWS = int(os.environ.get("STACKBERT_ROWS", "100000"))
# The peak of the largest of the processes that a process has waited for, its own children's among them.
BUILD = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "stackbert", "corpora", "build", *sys.argv[1:]], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_megabytes(dump: Path, out: Path) -> float:
    """Of the largest process of a build with two workers."""
    options = ["--source", "dump", "--path", str(dump), "--out", str(out), "--processes", "2"]
    done = subprocess.run([sys.executable, "-c", BUILD, *options], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024 / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not DUMPS.is_dir(), reason="needs ../shared/so/dumps, whose rows it repeats")
@pytest.mark.skipif(sys.platform != "linux", reason="the system counts memory otherwise")
def test_three_times_the_rows_take_the_same_memory(tmp_path: Path) -> None:
    peaks = []
    for rows in (ROWS, 3 * ROWS):
        dump = tmp_path / "Posts.xml"
        write(dump, DUMPS, 0, rows)
        peaks.append(peak_megabytes(dump, tmp_path / f"posts-{rows}"))
        print(f"{rows:,} rows, {dump.stat().st_size / 1e6:,.0f} MB of XML: {peaks[-1]:.0f} MB a process at most")
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)
    assert max(peaks) < 300
