"""Texts a second of 'finetune serve' for 1, 8 and 64 clients at once, and its memory over many requests.

    python -m tests.finetune.deploy.serve_load MODEL --seconds 60

MODEL is a classifier, a folder in a comparison's 'models'. The server is a process of its own on this machine, so that
clients and server share its cores. Each client sends one text after the other, and makes a new connection every 20.
Exit code 1 if a request had no answer, or one that is neither 200 nor 503.
"""

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes, Positional

from tests.finetune.deploy.clients import Outcome, ask_from_many

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Load:
    """What to run."""

    seconds: float = 60.0
    """Of each number of clients."""
    clients: tuple[int, ...] = (1, 8, 64)


@contextmanager
def served(model: Path) -> Iterator[tuple[str, int]]:
    """Address and process id of a server that is ready; stopped at the end, which must succeed."""
    command = [sys.executable, "-m", "stackbert", "finetune", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            first = process.stdout.readline()
            if not first.startswith("http://"):
                sys.exit("the server did not start")
            yield first.split()[0], process.pid
        finally:
            process.terminate()
        print(process.stdout.read(), end="")
    if process.returncode:
        sys.exit(f"the server ended with exit code {process.returncode}")


class Memory:
    """Samples the resident memory of a process, in MB."""

    def __init__(self, process_id: int) -> None:
        self._path, self._ended = Path(f"/proc/{process_id}/statm"), threading.Event()
        self.samples: list[float] = []
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        page_bytes = os.sysconf("SC_PAGE_SIZE")
        while True:
            self.samples.append(int(self._path.read_text("ascii").split()[1]) * page_bytes / 1e6)
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def third(self, number: int) -> float:
        """Mean of the first (0), middle or last (2) third of the samples."""
        count = len(self.samples)
        return statistics.mean(self.samples[number * count // 3 : (number + 1) * count // 3 or 1] or self.samples)


def described(clients: int, outcome: Outcome, rate: float, memory: Memory) -> str:
    """A line of figures."""
    times = sorted(outcome.seconds) or [float("nan")]
    median, slow = statistics.median(times) * 1_000, times[int(0.99 * (len(times) - 1))] * 1_000
    answers = ", ".join(f"{count:,} x {status}" for status, count in sorted(outcome.statuses.items()))
    failed = dict(outcome.failures) or "none"
    return (
        f"{clients:>3} clients: {rate:6.1f} texts/s, median {median:.0f} ms, 99 % within {slow:.0f} ms; "
        f"{answers}; without an answer: {failed}; memory {memory.third(0):,.0f} MB in the first third, "
        f"{memory.third(2):,.0f} MB in the last"
    )


def main(model: Positional[Path], load: OmitArgPrefixes[Load]) -> None:
    """Run each number of clients and print its figures."""
    rates, failed = list[float](), 0
    with served(model) as (address, process_id):
        for clients in load.clients:
            with Memory(process_id) as memory:
                began = time.monotonic()
                outcome = ask_from_many(address, clients, load.seconds, seed=clients)
                rate = len(outcome.seconds) / (time.monotonic() - began)
            rates.append(rate)
            failed += outcome.failures.total() + outcome.wrong
            failed += sum(count for status, count in outcome.statuses.items() if status not in (200, 503))
            print(described(clients, outcome, rate, memory), flush=True)
    print(f"{load.clients[-1]} clients over {load.clients[0]}: {rates[-1] / rates[0]:.1f}x")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    tyro.cli(main)
