"""A function over many items, in several processes, with the results in order."""

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from corpora.errors import StackbertError

WAITING_PER_PROCESS = 4  # chunks in flight: enough to keep a process busy, few enough to bound memory

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use; all of the machine's where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], processes: int) -> Iterator[Result]:
    """Yield function(item) for each item, in order; `processes` 0 is one a core.

    A few items, or one process, are not worth starting others: they are computed here. Processes are spawned, not
    forked: TensorFlow's threads do not survive a fork.
    """
    items = iter(items)
    first = list(itertools.islice(items, WAITING_PER_PROCESS))
    processes = processes or available_cores()
    if processes == 1 or len(first) < WAITING_PER_PROCESS:
        yield from map(function, itertools.chain(first, items))
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    waiting: deque[Future[Result]] = deque()
    try:
        for item in itertools.chain(first, items):
            waiting.append(pool.submit(function, item))
            if len(waiting) >= WAITING_PER_PROCESS * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise StackbertError("a worker process was killed, most often for want of memory; try processes 1") from None
    finally:
        pool.shutdown(cancel_futures=True)
