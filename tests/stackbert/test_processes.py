"""A command that is stopped, in whatever way and at whatever instant, leaves no process; the same command continues."""

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import py7zr
import pytest

from stackbert.core.artifact import load_manifest
from stackbert.core.hashing import file_sha256
from stackbert.core.workers import available_cores
from tests.corpora.dumps import write_dump
from tests.process_tree import Command

GONE_SECONDS = 2.0
WORDS = "sort list python join table mysql error parse json file read write loop array string docker".split()
STAGES = {
    "corpora build": "corpora build --source table --path {made}/table.csv --title-column title --body-column body "
    "--id-column id --tags-column tags --part-megabytes 0.1 --processes 2",
    "corpora label": "corpora label {made}/posts --num-labels 5 --processes 2",
    "tokenizer train": "tokenizer train {made}/posts --vocab-size 300 --processes 2",
    "tokenizer encode": "tokenizer encode {made}/posts {made}/vocabulary --processes 2",
}
FURTHER = {  # one process per core
    "a dump": "corpora build --source dump --path {made}/Posts.xml --part-megabytes 0.1 --near-duplicates",
    "an archive": "corpora build --source dump --path {made}/site.7z --part-megabytes 0.1 --processes 2",
    "corpora datasheet": "corpora datasheet {made}/posts",
    "corpora audit": "corpora audit {made}/posts {made}/labels",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, and a corpus and a vocabulary made from it."""
    folder, draw = tmp_path_factory.mktemp("made"), random.Random(3)
    rows = ["id,title,body,tags"]
    for number in range(12_000):
        title, body = " ".join(draw.choices(WORDS, k=6)), " ".join(draw.choices(WORDS, k=30))
        rows.append(f"{number},{title} {number},{body},{'|'.join(draw.sample(WORDS[:9], 2))}")
    (folder / "table.csv").write_text("\n".join(rows))
    with py7zr.SevenZipFile(folder / "site.7z", "w") as archive:
        archive.write(write_dump(folder, 9_000), "Posts.xml")
    for stage, out in (("corpora build", "posts"), ("tokenizer train", "vocabulary"), ("corpora label", "labels")):
        code, _, stderr = start(stage, folder, folder / out).finish()
        assert code == 0, stderr
    return folder


def start(stage: str, made: Path, out: Path) -> Command:
    return Command(*(STAGES | FURTHER)[stage].format(made=made).split(), "--out", out, cwd=made)


def without_notes(stderr: str) -> list[str]:
    """The lines on standard error, except for how a table is read."""
    return [line for line in stderr.splitlines() if ": read as " not in line]


def written(out: Path) -> dict[str, Any]:
    """sha256 of the output, a folder or a file."""
    return load_manifest(out).files if out.is_dir() else {"": file_sha256(out)}


def undisturbed(stage: str, made: Path, out: Path) -> tuple[float, float]:
    """Seconds from the start of a run until its workers start, and until it ends."""
    command = start(stage, made, out)
    assert command.wait(lambda: command.workers(), 60), f"{stage} uses no worker processes: {command.finish()}"
    first = time.monotonic() - command.started
    code, _, stderr = command.finish()
    assert code == 0, stderr
    return first, time.monotonic() - command.started


def kill_at_instants(stage: str, made: Path, folder: Path, instants: int) -> None:
    first, end = undisturbed(stage, made, folder / "straight")
    workers = []
    for instant in range(instants):
        seconds = first + (end - first) * instant / instants
        command = start(stage, made, folder / "killed")
        command.wait(lambda: False, command.started + seconds - time.monotonic())
        workers.append(len(command.workers()))
        command.process.kill()
        assert command.wait(lambda: not command.alive(), GONE_SECONDS), command.alive()  # noqa: B023
        command.finish()
        if (folder / "killed").exists():  # the machine was faster this time
            shutil.rmtree(folder / "killed") if (folder / "killed").is_dir() else (folder / "killed").unlink()
    print(f"{stage}: killed at {instants} instants with {workers} workers, none left")
    assert max(workers) > 0
    code, _, stderr = start(stage, made, folder / "killed").finish()
    assert code == 0, stderr
    assert written(folder / "killed") == written(folder / "straight")


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_leader_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    kill_at_instants(stage, made, tmp_path, 2)


@pytest.mark.slow
@pytest.mark.skipif(available_cores() < 2, reason="one core")
@pytest.mark.parametrize("stage", FURTHER)
def test_any_killed_leader_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    kill_at_instants(stage, made, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_leader_killed_at_ten_instants_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    kill_at_instants(stage, made, tmp_path, 10)


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_is_one_line_and_the_same_command_continues(stage: str, made: Path, tmp_path: Path) -> None:
    command = start(stage, made, tmp_path / "out")
    assert command.wait(lambda: command.workers(), 60)
    command.interrupt()
    code, stdout, stderr = command.finish()
    assert (code, stdout) == (130, "")
    assert without_notes(stderr) == ["stackbert: interrupted; the same command goes on from what is finished"]
    assert command.wait(lambda: not command.alive(), GONE_SECONDS)
    assert start(stage, made, tmp_path / "out").finish()[0] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_sigterm_is_one_line_and_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    command = start(stage, made, tmp_path / "out")
    assert command.wait(lambda: len(command.workers()) > 1, 60)
    command.process.send_signal(signal.SIGTERM)
    code, _, stderr = command.finish()
    assert (code, len(without_notes(stderr))) == (143, 1)
    assert "ended by SIGTERM" in stderr
    assert command.wait(lambda: not command.alive(), GONE_SECONDS)


@pytest.mark.parametrize("stage", ["corpora build", "tokenizer encode"])
def test_a_worker_that_the_system_kills_is_an_error_with_advice(stage: str, made: Path, tmp_path: Path) -> None:
    command = start(stage, made, tmp_path / "out")
    assert command.wait(lambda: command.workers(), 60)
    os.kill(command.workers()[0], signal.SIGKILL)
    code, _, stderr = command.finish()
    assert code == 1 and len(without_notes(stderr)) == 1
    assert "a worker process was killed, mostly because memory ran out" in stderr
    assert command.wait(lambda: not command.alive(), GONE_SECONDS)


def test_a_second_ctrl_c_prints_nothing(made: Path, tmp_path: Path) -> None:
    command = start("corpora build", made, tmp_path / "out")
    assert command.wait(lambda: command.workers(), 60)
    for _ in range(3):
        command.interrupt()
        time.sleep(0.02)
    code, _, stderr = command.finish()
    assert code in (130, -signal.SIGINT)
    assert "Traceback" not in stderr and "Exception" not in stderr
    assert command.wait(lambda: not command.alive(), GONE_SECONDS)
