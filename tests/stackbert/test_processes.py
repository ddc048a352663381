"""A command that is stopped, in whatever way and at whatever instant, leaves no process; the same command continues."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from stackbert.core.artifact import load_manifest
from tests.process_tree import Command

GONE_SECONDS = 2.0
WORDS = "sort list python join table mysql error parse json file read write loop array string docker".split()
STAGES = {
    "corpora build": "--source table --path {made}/table.csv --title-column title --body-column body --id-column id "
    "--tags-column tags --part-megabytes 0.1",
    "corpora label": "{made}/posts --num-labels 5",
    "tokenizer train": "{made}/posts --vocab-size 300",
    "tokenizer encode": "{made}/posts {made}/vocabulary",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table, and a corpus and a vocabulary made from it."""
    folder, draw = tmp_path_factory.mktemp("made"), random.Random(3)
    rows = ["id,title,body,tags"]
    for number in range(12_000):
        title, body = " ".join(draw.choices(WORDS, k=6)), " ".join(draw.choices(WORDS, k=30))
        rows.append(f"{number},{title} {number},{body},{' '.join(draw.sample(WORDS[:9], 2))}")
    (folder / "table.csv").write_text("\n".join(rows))
    for stage, out in (("corpora build", "posts"), ("tokenizer train", "vocabulary")):
        assert start(stage, folder, folder / out).finish()[0] == 0
    return folder


def start(stage: str, made: Path, out: Path) -> Command:
    options = STAGES[stage].format(made=made).split()
    return Command(*stage.split(), *options, "--processes", "2", "--out", out, cwd=made)


def undisturbed(stage: str, made: Path, out: Path) -> tuple[float, float]:
    """Seconds from the start of a run until its workers start, and until it ends."""
    command = start(stage, made, out)
    assert command.wait(lambda: command.workers() > 0, 60), f"{stage} uses no worker processes: {command.finish()}"
    first = time.monotonic() - command.started
    code, _, stderr = command.finish()
    assert (code, stderr) == (0, "")
    return first, time.monotonic() - command.started


def kill_at_instants(stage: str, made: Path, folder: Path, instants: int) -> None:
    first, end = undisturbed(stage, made, folder / "straight")
    workers = []
    for instant in range(instants):
        seconds = first + (end - first) * instant / instants
        command = start(stage, made, folder / "killed")
        command.wait(lambda: False, command.started + seconds - time.monotonic())
        workers.append(command.workers())
        command.process.kill()
        assert command.wait(lambda: not command.alive(), GONE_SECONDS), command.alive()  # noqa: B023
        command.finish()
        if (folder / "killed").exists():
            shutil.rmtree(folder / "killed")  # the machine was faster this time
    print(f"{stage}: killed at {instants} instants with {workers} workers, none left")
    assert max(workers) > 0
    code, _, stderr = start(stage, made, folder / "killed").finish()
    assert code == 0, stderr
    assert load_manifest(folder / "killed").files == load_manifest(folder / "straight").files


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_leader_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    kill_at_instants(stage, made, tmp_path, 2)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_leader_killed_at_ten_instants_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    kill_at_instants(stage, made, tmp_path, 10)


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_is_one_line_and_the_same_command_continues(stage: str, made: Path, tmp_path: Path) -> None:
    command = start(stage, made, tmp_path / "out")
    assert command.wait(lambda: command.workers() > 0, 60)
    command.interrupt()
    code, stdout, stderr = command.finish()
    assert (code, stdout) == (130, "")
    assert stderr == "stackbert: interrupted; the same command goes on from what is finished\n"
    assert command.wait(lambda: not command.alive(), GONE_SECONDS)
    assert start(stage, made, tmp_path / "out").finish()[0] == 0


@pytest.mark.parametrize("stage", STAGES)
def test_sigterm_is_one_line_and_leaves_no_process(stage: str, made: Path, tmp_path: Path) -> None:
    command = start(stage, made, tmp_path / "out")
    assert command.wait(lambda: command.workers() > 1, 60)
    command.process.send_signal(signal.SIGTERM)
    code, _, stderr = command.finish()
    assert (code, stderr.count("\n")) == (143, 1)
    assert "ended by SIGTERM" in stderr
    assert command.wait(lambda: not command.alive(), GONE_SECONDS)
