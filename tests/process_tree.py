"""Real commands in processes that can be found again, whatever became of their parents."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.paths import ROOT

MARK = "STACKBERT_TEST_MARK"
# Sizes below which the stages start no processes are lowered, so that small inputs will do.
MAIN = """
import stackbert.core.workers, tokenizer.encoding.encode, tokenizer.vocabulary.word_counts
import corpora.contamination.audit, corpora.labels.pretraining_text, corpora.labels.splits
stackbert.core.workers.SMALL_BYTES = 0
tokenizer.encoding.encode.POSTS_WORTH_PROCESSES = 0
tokenizer.vocabulary.word_counts.BYTES_PER_PROCESS = 1
from stackbert.cli import main
main()
"""


class Command:
    """A command of stackbert in a session of its own, whose processes bear a mark in their environment."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        self.mark = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {name: value, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # a shell has its background jobs ignore Ctrl+C, and what they start inherits that
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def finish(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        printed = self.process.communicate(timeout=300)
        return self.process.returncode, *printed

    def alive(self) -> dict[int, str]:
        """Its processes that run, with their command lines; those that have ended and wait for their parents do not."""
        found = {}
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdecimal() and self.mark.encode() in (folder / "environ").read_bytes():
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found[int(folder.name)] = line
            except OSError:
                continue
        return found

    def workers(self) -> list[int]:
        """The worker processes that run."""
        return [number for number, line in self.alive().items() if "spawn_main" in line]

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Whether the condition came true in that time."""
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        return bool(condition())

    def interrupt(self) -> None:
        """What a terminal does on Ctrl+C: SIGINT to each process of the command."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
