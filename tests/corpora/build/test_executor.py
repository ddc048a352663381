"""Ray and Slurm write the same bytes as local processes (where they are installed); failures are explained."""

import os
import shutil
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from corpora.build.build import build_corpus
from corpora.build.executor import Engine, _failure
from corpora.build.step import Step
from stackbert.core.errors import StackbertError
from tests.corpora.dumps import SMALL_PARTS, write_dump

CONFIG = replace(SMALL_PARTS, part_megabytes=0.06)  # a few parts: Ray takes seconds to start a task


class FailAtTwo(Step):
    """A step that fails in task 2."""

    type, name = "test", "fail"

    def run(self, data: object = None, rank: int = 0, world_size: int = 1) -> list[object]:
        if rank == 2:
            raise StackbertError("row 7: is not a row")
        return []


@pytest.mark.ray
@pytest.mark.filterwarnings("default")  # an error in one of datatrove's threads would make it wait forever
def test_ray_gives_the_same_bytes(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    write_dump(tmp_path)
    local = build_corpus(tmp_path / "local", CONFIG, tmp_path)
    remote = build_corpus(tmp_path / "ray", replace(CONFIG, engine="ray", processes=2, task_gigabytes=1), tmp_path)
    assert remote.files == local.files and remote.counts == local.counts and remote.identity == local.identity
    with (tmp_path / "Posts.xml").open("a") as dump:
        dump.write("<!DOCTYPE posts>\n")
    with pytest.raises(StackbertError, match="declares a document type"):
        build_corpus(tmp_path / "bad", replace(CONFIG, engine="ray", processes=2, task_gigabytes=1), tmp_path)
    ray.shutdown()


@pytest.mark.skipif(not os.environ.get("STACKBERT_SLURM"), reason="STACKBERT_SLURM names no partition to run in")
def test_slurm_gives_the_same_bytes(tmp_path: Path) -> None:
    write_dump(tmp_path)
    local = build_corpus(tmp_path / "local", CONFIG, tmp_path)
    config = replace(CONFIG, engine="slurm", partition=os.environ["STACKBERT_SLURM"], processes=2, task_gigabytes=1)
    remote = build_corpus(tmp_path / "slurm", config, tmp_path)
    assert remote.files == local.files and remote.counts == local.counts


def test_slurm_without_a_partition_or_a_cluster_is_explained(tmp_path: Path) -> None:
    write_dump(tmp_path)
    with pytest.raises(StackbertError, match="needs partition"):
        build_corpus(tmp_path / "out", replace(CONFIG, engine="slurm"), tmp_path)
    if not shutil.which("sbatch"):
        with pytest.raises(StackbertError, match="is 'sbatch' on the PATH"):
            build_corpus(tmp_path / "out", replace(CONFIG, engine="slurm", partition="main"), tmp_path)


def test_a_failing_task_is_an_error_and_finished_tasks_are_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(StackbertError, match="row 7: is not a row"):
            Engine(workers=1).run("failing", [FailAtTwo()], 4, tmp_path)
    assert {path.name for path in (tmp_path / "completions").iterdir()} == {"00000", "00001"}


def test_the_reason_of_a_failed_cluster_task_is_read_from_its_log(tmp_path: Path) -> None:
    """The log of a Slurm or Ray task ends in a traceback that names the exception with its module."""
    error = StackbertError("row 7: is not a row")
    (tmp_path / "logs").mkdir()
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1', *traceback.format_exception_only(error)]
    (tmp_path / "logs" / "task_00002.log").write_text("\n".join(lines))
    assert _failure("reading", 4, [2], tmp_path) == "row 7: is not a row"
    assert "1 of 4 tasks did not finish, the first is 3: it left no log" in _failure("reading", 4, [3], tmp_path)
