"""A disk that becomes full at each step of a build: a small tmpfs."""

import os
import re
import subprocess
import sys
from pathlib import Path

from stackbert.core.artifact import load_manifest
from tests.corpora.dumps import write_dump
from tests.disks import resize
from tests.paths import ROOT

PAGES = (2, 6, 12, 20, 30, 45, 60, 75)  # of 4,096 bytes; the whole build takes some 100


def test_a_full_disk_is_reported_and_the_build_can_continue(tmp_path: Path, disk: Path) -> None:
    write_dump(tmp_path)
    command = [sys.executable, "-m", "stackbert", "corpora", "build", "--source", "dump", "--path", "Posts.xml"]
    command += ["--part-megabytes", "0.05", "--processes", "1", "--out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def build(out: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, str(out)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert build(tmp_path / "straight").returncode == 0
    written = set()
    for pages in PAGES:
        resize(disk, 4_096 * pages)
        result = build(disk / "out")
        if result.returncode == 0:
            break
        assert result.returncode == 1 and "Traceback" not in result.stderr, result.stderr
        found = re.search(r"(\S+): the disk is full: ([\d,]+) bytes were written, ([\d,]+) are free", result.stderr)
        assert found, result.stderr
        assert found[1].startswith(str(disk)) and not (disk / "out").exists()
        written.add(found[2])
    print(f"full at {len(written)} different amounts: {', '.join(sorted(written))} bytes")
    assert len(written) >= 4
    resize(disk, 8_000_000)
    assert build(disk / "out").returncode == 0
    assert load_manifest(disk / "out").files == load_manifest(tmp_path / "straight").files
