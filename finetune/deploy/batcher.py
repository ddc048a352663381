"""Joins the texts of many requests into batches, which one thread labels."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, NamedTuple, TypeVar

Answer = TypeVar("Answer")


class TooManyWaitingError(Exception):
    """There is no room for more waiting texts."""


class _Waiting(NamedTuple, Generic[Answer]):
    text: str
    answer: "asyncio.Future[Answer]"


class Batcher(Generic[Answer]):
    """Answers texts in batches, in the order in which they came; used on one event loop.

    `label` answers a list of texts and runs in `thread`, one batch at a time. While it does, texts gather for the next
    batch. A batch that is not full waits `wait_seconds` for more.
    """

    def __init__(
        self,
        label: Callable[[list[str]], list[Answer]],
        thread: Executor,
        batch_texts: int,
        wait_seconds: float,
        max_waiting: int,
    ) -> None:
        self._label, self._thread = label, thread
        self._batch_texts, self._wait_seconds, self._max_waiting = batch_texts, wait_seconds, max_waiting
        self._waiting: deque[_Waiting[Answer]] = deque()
        self._arrived = asyncio.Event()

    async def answers(self, texts: list[str]) -> list[Answer]:
        """The answer to each text; raises TooManyWaitingError if they exceed the room of the queue."""
        if len(self._waiting) + len(texts) > self._max_waiting:
            raise TooManyWaitingError
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(text, loop.create_future()) for text in texts]
        self._waiting.extend(waiting)
        self._arrived.set()
        return list(await asyncio.gather(*(each.answer for each in waiting)))

    async def run(self) -> None:
        """Answer batches until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            if len(self._waiting) < self._batch_texts:
                await asyncio.sleep(self._wait_seconds)
            batch = self._take()
            if not batch:
                continue
            try:
                found = await loop.run_in_executor(self._thread, self._label, [each.text for each in batch])
            except Exception as error:  # whatever it is, the requests are told, and later ones are answered
                for each in batch:
                    if not each.answer.done():
                        each.answer.set_exception(error)
                continue
            for each, answer in zip(batch, found, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)

    def _take(self) -> list[_Waiting[Answer]]:
        """The next batch; texts of requests that were cancelled are left out."""
        batch: list[_Waiting[Answer]] = []
        while self._waiting and len(batch) < self._batch_texts:
            each = self._waiting.popleft()
            if not each.answer.done():
                batch.append(each)
        if not self._waiting:
            self._arrived.clear()
        return batch
