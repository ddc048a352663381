"""Texts of many requests, joined into batches."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from finetune.deploy.batcher import Batcher, TooManyWaitingError


def run_with(use: Callable[[Batcher], Any], label: Callable[[list[str]], list[str]], **settings: Any) -> Any:
    """What the coroutine function `use` returns, given a batcher that runs."""

    async def start() -> Any:
        defaults = {"batch_texts": 4, "wait_seconds": 0.02, "max_waiting": 100}
        with ThreadPoolExecutor(1) as thread:
            batcher = Batcher(label, thread, **{**defaults, **settings})
            running = asyncio.create_task(batcher.run())
            try:
                return await asyncio.wait_for(use(batcher), 20)
            finally:
                running.cancel()

    return asyncio.run(start())


def test_texts_of_many_requests_are_answered_together_and_each_gets_its_own():
    batches: list[list[str]] = []

    def label(texts: list[str]) -> list[str]:
        batches.append(texts)
        return [text.upper() for text in texts]

    async def ask(batcher: Batcher) -> list[list[str]]:
        return await asyncio.gather(*(batcher.answers([f"a{n}", f"b{n}"][: 1 + n % 2]) for n in range(6)))

    assert run_with(ask, label) == [["A0"], ["A1", "B1"], ["A2"], ["A3", "B3"], ["A4"], ["A5", "B5"]]
    assert batches == [["a0", "a1", "b1", "a2"], ["a3", "b3", "a4", "a5"], ["b5"]]


def test_texts_that_arrive_during_a_batch_are_the_next_one():
    batches: list[int] = []
    first_may_end = threading.Event()

    def label(texts: list[str]) -> list[str]:
        batches.append(len(texts))
        assert first_may_end.wait(20)
        return texts

    async def ask(batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.answers(["first"]))
        while not batches:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(batcher.answers([str(number)])) for number in range(7)]
        await asyncio.sleep(0)
        first_may_end.set()
        await asyncio.gather(first, *others)

    run_with(ask, label)
    assert batches == [1, 4, 3]


def test_a_full_queue_is_refused_at_once_and_free_again_later():
    may_end = threading.Event()

    def label(texts: list[str]) -> list[str]:
        assert may_end.wait(20)
        return texts

    async def ask(batcher: Batcher) -> list[str]:
        waiting = asyncio.create_task(batcher.answers(["a", "b"]))
        await asyncio.sleep(0)
        with pytest.raises(TooManyWaitingError):
            await batcher.answers(["c", "d"])
        may_end.set()
        await waiting
        return await batcher.answers(["c", "d", "e"])

    assert run_with(ask, label, max_waiting=3, wait_seconds=0.1) == ["c", "d", "e"]


def test_a_failed_batch_is_told_to_all_its_requests_and_the_next_is_answered():
    def label(texts: list[str]) -> list[str]:
        if "bad" in texts:
            raise ZeroDivisionError
        return texts

    async def ask(batcher: Batcher) -> tuple[list[Any], list[str]]:
        failed = await asyncio.gather(batcher.answers(["bad"]), batcher.answers(["a", "b"]), return_exceptions=True)
        return failed, await batcher.answers(["good"])

    failed, later = run_with(ask, label)
    assert [type(error) for error in failed] == [ZeroDivisionError] * 2 and later == ["good"]


def test_texts_of_a_request_that_was_cancelled_are_left_out():
    batches: list[list[str]] = []

    def label(texts: list[str]) -> list[str]:
        batches.append(texts)
        return texts

    async def ask(batcher: Batcher) -> list[str]:
        gone = asyncio.create_task(batcher.answers(["gone", "too"]))
        await asyncio.sleep(0)
        gone.cancel()
        return await batcher.answers(["stays"])

    assert run_with(ask, label) == ["stays"] and batches == [["stays"]]
