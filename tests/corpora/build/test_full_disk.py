"""A disk that becomes full at each step of a build: a small tmpfs."""

import re
import subprocess
import sys
from pathlib import Path

from stackbert.core.artifact import load_manifest
from tests.corpora.dumps import write_dump
from tests.disks import resize
from tests.paths import ROOT

PAGES = (2, 6, 12, 20, 30, 45, 60, 75)  # of 4,096 bytes; the whole build takes some 100
# Reads output folders from standard input, runs the command line for each in a process of its own, and prints the
# exit status; imports are done once, before the fork.
COMMANDS = """
import os, sys
import corpora.build.build
from stackbert.cli import main
for out in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        sys.argv = ["stackbert", *sys.argv[1:], out.strip()]
        main()
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_full_disk_is_reported_and_the_build_can_continue(tmp_path: Path, disk: Path) -> None:
    write_dump(tmp_path)
    command = [sys.executable, "-c", COMMANDS, "corpora", "build", "--source", "dump", "--path", "Posts.xml"]
    command += ["--part-megabytes", "0.05", "--processes", "1", "--out"]
    log = tmp_path / "stderr"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        assert process.stdin and process.stdout

        def build(out: Path) -> int:
            """Exit status of a build."""
            log.write_text("")
            print(out, file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        assert build(tmp_path / "straight") == 0
        written = set()
        for pages in PAGES:
            resize(disk, 4_096 * pages)
            if build(disk / "out") == 0:
                break
            message = log.read_text().replace("\0", "")
            found = re.search(r"(\S+): the disk is full: ([\d,]+) bytes were written, ([\d,]+) are free", message)
            assert found and "Traceback" not in message, message
            assert found[1].startswith(str(disk)) and not (disk / "out").exists()
            written.add(found[2])
        print(f"full at {len(written)} different amounts: {', '.join(sorted(written))} bytes")
        assert len(written) >= 4
        resize(disk, 8_000_000)
        assert build(disk / "out") == 0
        process.stdin.close()
    assert load_manifest(disk / "out").files == load_manifest(tmp_path / "straight").files
