"""Maps a function over many items in several processes, with results in order."""

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

from stackbert.core.errors import StackbertError

WAITING_PER_PROCESS = 4  # items in flight: enough to keep a process busy, few enough to bound memory

SMALL_BYTES = 64 << 20  # less Parquet is read faster in this process than others start

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use; all cores of the machine if the system has no affinity."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], processes: int, waiting: int = WAITING_PER_PROCESS
) -> Iterator[Result]:
    """Yield function(item) for each item, in order; `processes` 0 means one per core.

    At most `waiting` items per process are in flight. With one process, or fewer items than max(2, waiting), the work
    is done in this process. Processes are spawned, not forked: TensorFlow's threads do not survive a fork.
    """
    items, few = iter(items), max(2, waiting)
    first = list(itertools.islice(items, few))
    processes = processes or available_cores()
    if processes == 1 or len(first) < few:
        yield from map(function, itertools.chain(first, items))
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    in_flight: deque[Future[Result]] = deque()
    try:
        for item in itertools.chain(first, items):
            in_flight.append(pool.submit(function, item))
            if len(in_flight) > waiting * processes:
                yield in_flight.popleft().result()
        while in_flight:
            yield in_flight.popleft().result()
    except BrokenProcessPool:
        raise StackbertError("a worker process was killed, mostly because memory ran out; try processes 1") from None
    finally:
        pool.shutdown(cancel_futures=True)


def processes_for(paths: Sequence[Path], processes: int) -> int:
    """Number of processes to read Parquet files with: one if they are small, else as configured."""
    return 1 if sum(path.stat().st_size for path in paths) < SMALL_BYTES else processes
