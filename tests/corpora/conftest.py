"""Worker processes that are started once for all tests of this room."""

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest


class SharedPool:
    """A pool of two processes with the interface that map_in_order uses; `shutdown` leaves it running."""

    def __init__(self) -> None:
        self.pool = ProcessPoolExecutor(2, get_context("spawn"))

    def submit(self, function: Any, item: Any) -> Future[Any]:
        return self.pool.submit(function, item)

    def shutdown(self, cancel_futures: bool = False) -> None:
        pass


@pytest.fixture(scope="session")
def shared_pool() -> Iterator[SharedPool]:
    shared = SharedPool()
    yield shared
    shared.pool.shutdown()


@pytest.fixture
def worker_pool(shared_pool: SharedPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let map_in_order use one pool throughout: starting processes takes seconds each time."""
    monkeypatch.setattr("stackbert.core.workers.ProcessPoolExecutor", lambda processes, context, *watching: shared_pool)
