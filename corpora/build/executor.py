"""Runs pipeline steps as numbered tasks, on this machine, a Slurm cluster or Ray; finished tasks are skipped."""

import contextlib
import copy
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from datatrove.executor.base import PipelineExecutor
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress
from stackbert.core.workers import available_cores, map_in_order

EngineName = Literal["local", "slurm", "ray"]
POLL_SECONDS = 2.0
_MESSAGE = re.compile(rf"^{re.escape(StackbertError.__module__)}\.StackbertError: (.*)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Engine:
    """Where tasks run; never changes what they write."""

    name: EngineName = "local"
    workers: int = 0
    """Tasks at a time; 0: one per core on this machine, as many as the cluster gives on a cluster."""
    partition: str = ""
    """Slurm partition."""
    task_hours: float = 4.0
    """Slurm time limit of a task."""
    task_gigabytes: int = 2
    """Memory requested from Slurm or Ray for a task."""

    def run(self, title: str, steps: Sequence[PipelineStep], tasks: int, folder: Path) -> None:
        """Run `steps` once for each rank from 0 to `tasks` - 1; `folder` holds logs and marks of finished tasks.

        On a cluster, all machines must see `folder` and what the steps read and write. Raises StackbertError where a
        task fails, with the reason from its log.
        """
        if not tasks:
            return
        runners = {"local": self._run_here, "slurm": self._run_slurm, "ray": self._run_ray}
        executor = runners[self.name](title, list(steps), tasks, folder)
        failed = executor.get_incomplete_ranks()
        if failed:
            raise StackbertError(_failure(title, tasks, failed, folder))

    def _run_here(self, title: str, steps: list[PipelineStep], tasks: int, folder: Path) -> PipelineExecutor:
        workers = self.workers or available_cores()
        executor = LocalPipelineExecutor(steps, tasks, workers, logging_dir=str(folder))
        ranks = executor.get_incomplete_ranks()
        # Not the executor's own pool: it waits forever if the system kills one of its workers.
        finished = map_in_order(partial(_run_rank, executor), ranks, min(workers, len(ranks) or 1), waiting=2)
        with Progress(title, tasks, done=tasks - len(ranks), unit="tasks") as progress:
            for _ in finished:
                progress.advance()
        return executor

    def _run_slurm(self, title: str, steps: list[PipelineStep], tasks: int, folder: Path) -> PipelineExecutor:
        from datatrove.executor.slurm import SlurmPipelineExecutor

        if not self.partition:
            raise StackbertError("engine 'slurm' needs partition: name the one to run in ('sinfo' lists them)")
        executor = SlurmPipelineExecutor(
            steps,
            tasks,
            time=str(max(1, round(self.task_hours * 60))),  # minutes
            partition=self.partition,
            mem_per_cpu_gb=self.task_gigabytes,
            workers=self.workers or -1,
            job_name=f"stackbert-{title.replace(' ', '-')}",
            qos="",
            env_command=f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH",
            logging_dir=str(folder),
        )
        with _without_log():
            try:
                executor.run()
            except (OSError, subprocess.CalledProcessError) as error:
                raise StackbertError(f"Slurm does not accept the job: {error}; is 'sbatch' on the PATH?") from None
        _wait_for_slurm(executor, title, tasks)
        return executor

    def _run_ray(self, title: str, steps: list[PipelineStep], tasks: int, folder: Path) -> PipelineExecutor:
        try:
            import ray
        except ImportError:
            raise StackbertError("engine 'ray' needs the package ray: pip install 'stackbert[ray]'") from None
        from datatrove.executor.ray import RayPipelineExecutor

        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        if not ray.is_initialized():  # RAY_ADDRESS names a cluster; without it, a local one is started
            cluster = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": self.workers or available_cores()}
            ray.init(log_to_driver=False, include_dashboard=False, logging_level="error", **cluster)
        with _without_log():
            executor = RayPipelineExecutor(
                steps,
                tasks,
                workers=self.workers or -1,
                mem_per_cpu_gb=self.task_gigabytes,
                logging_dir=str(folder),
            )
            with contextlib.suppress(RuntimeError):  # a task failed: Engine.run says which
                executor.run()
        return executor


def _run_rank(executor: PipelineExecutor, rank: int) -> None:
    """Run one task in this process, and mark it as finished."""
    with _without_log():
        data: Any = None
        for step in copy.deepcopy(executor.pipeline):  # a copy, because steps collect statistics of their task
            data = step(data, rank, executor.world_size)
        deque(data or (), maxlen=0)  # generators run only when they are consumed
        executor.mark_rank_as_completed(rank)


def _wait_for_slurm(executor: PipelineExecutor, title: str, tasks: int) -> None:
    """Show progress until no task is left, or Slurm no longer knows the job."""
    done = 0
    with Progress(title, tasks, unit="tasks") as progress:
        while left := executor.get_incomplete_ranks():
            progress.advance(tasks - len(left) - done)
            done = tasks - len(left)
            if not _slurm_knows(str(executor.job_id)):
                return
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Silence datatrove's log: failures of tasks are raised."""
    from datatrove.utils.logging import logger

    logger.disable("datatrove")
    try:
        yield
    finally:
        logger.enable("datatrove")


def _slurm_knows(job: str) -> bool:
    """Whether a job is waiting or running."""
    command = [shutil.which("squeue") or "squeue", "--noheader", "--jobs", job]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, a number
    return bool(result.stdout.strip())


def _failure(title: str, tasks: int, failed: Sequence[int], folder: Path) -> str:
    log = folder / "logs" / f"task_{failed[0]:05d}.log"
    text = log.read_text("utf-8", errors="replace") if log.exists() else ""
    message = _MESSAGE.search(text)
    if message:
        return message[1].strip()
    last = text.strip().rpartition("\n")[2] or "it left no log"
    return (
        f"{title}: {len(failed):,} of {tasks:,} tasks did not finish, the first is {failed[0]}: {last}; its log is "
        f"{log}. Finished tasks are kept: run the same command again to continue"
    )
