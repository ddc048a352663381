"""A line of progress on the terminal while tasks are done."""

import sys
import time
from collections.abc import Callable

LINE_SECONDS = 5.0


class Progress:
    """Says every few seconds how many of the tasks are done, and the time left."""

    def __init__(
        self,
        title: str,
        tasks: int,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
        line_seconds: float = LINE_SECONDS,
    ) -> None:
        self._title, self._tasks, self._clock, self._line_seconds = title, tasks, clock, line_seconds
        self._done = self._done_before = done
        self._start = self._last_line = clock()

    def advance(self) -> None:
        self.show(self._done + 1)

    def show(self, done: int) -> None:
        """Print a line, unless one was printed a moment ago."""
        self._done, now = done, self._clock()
        if now < self._last_line + self._line_seconds or done == self._done_before:
            return
        self._last_line = now
        left = (now - self._start) / (done - self._done_before) * (self._tasks - done) / 60
        print(f"{self._title}: {done:,} of {self._tasks:,}, {left:.1f} min left", file=sys.stderr, flush=True)
