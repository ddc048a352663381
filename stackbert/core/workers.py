"""Maps a function over many items in several processes, with results in order.

Worker processes never outlive the process that started them: each holds the reading end of a pipe whose writing end
only that process has. The system closes it however the process ends, SIGKILL included, and the workers then end, too.
"""

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from stackbert.core.errors import StackbertError

WAITING_PER_PROCESS = 4  # items in flight: enough to keep a process busy, few enough to bound memory

SMALL_BYTES = 64 << 20  # less Parquet is read faster in this process than others start

_HELD = (signal.SIGINT, signal.SIGTERM)
_LEASHES: set[Connection] = set()
"""Writing ends of the pipes that this process's workers watch."""

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
    in_flight: deque[Future[Result]] = deque()
    with _pool(processes) as submit:
        for item in itertools.chain(first, items):
            in_flight.append(submit(function, item))
            if len(in_flight) > waiting * processes:
                yield in_flight.popleft().result()
        while in_flight:
            yield in_flight.popleft().result()


def run_apart(function: Callable[..., Result], *arguments: Any, prepare: Callable[[], object] | None = None) -> Result:
    """function(*arguments), done by a process of its own, which calls `prepare` before it imports the function."""
    with _pool(1, prepare) as submit:
        result: Result = submit(function, *arguments).result()
    return result


def end_workers() -> None:
    """End the worker processes of this process at once; what they are doing is not finished."""
    for leash in list(_LEASHES):
        leash.close()


@contextmanager
def _pool(processes: int, prepare: Callable[[], object] | None = None) -> Iterator[Callable[..., Future[Any]]]:
    """Yield the `submit` of a pool of processes, which end at once where the block is left before its end."""
    context = multiprocessing.get_context("spawn")
    watched, leash = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(processes, context, _follow, (watched, prepare))

    def submit(function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        with _signals_held():  # submitting starts processes
            try:
                return pool.submit(function, *arguments)
            except ValueError as error:  # the pool closed its pipes meanwhile, as a process of it was killed
                raise BrokenProcessPool(str(error)) from error

    _LEASHES.add(leash)
    try:
        yield submit
        pool.shutdown()
    except BrokenProcessPool:
        advice = "; try processes 1" if processes > 1 else ""
        raise StackbertError(f"a worker process was killed, mostly because memory ran out{advice}") from None
    finally:
        leash.close()
        _LEASHES.discard(leash)
        pool.shutdown(cancel_futures=True)
        watched.close()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Start processes that never see Ctrl+C: the terminal sends it to all, and the leader alone is to answer it.

    A signal that arrives meanwhile is answered afterwards, so that no process is left half started.
    """
    arrived: list[int] = []
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _HELD if is_main}
    replaced = [number for number, handler in handlers.items() if callable(handler)]
    for number in replaced:
        signal.signal(number, lambda number, _: arrived.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in replaced:
            signal.signal(number, handlers[number])
        if arrived:
            signal.raise_signal(arrived[0])


def _follow(watched: Connection, prepare: Callable[[], object] | None) -> None:
    """Begin to watch the leader, in a worker process, and prepare it."""
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    if prepare:
        prepare()


def _end_with(watched: Connection) -> None:
    """End this process, whatever it is doing, when the other end of the pipe is closed."""
    with suppress(EOFError, OSError):
        watched.recv_bytes()
    os._exit(1)


def processes_for(paths: Sequence[Path], processes: int) -> int:
    """Number of processes to read Parquet files with: one if they are small, else as configured."""
    return 1 if sum(path.stat().st_size for path in paths) < SMALL_BYTES else processes
