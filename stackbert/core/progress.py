"""Progress of long work: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

LINE_SECONDS = 15.0


class Progress:
    """Shows how much of some work is done and the time left, on standard error; a context manager.

    `total` and `done` count items; `total` is None where it is not known. `unit` names them in lines, such as "steps".
    The first `warm_up` advances do not count for the time left: they hold compilation. Without a terminal, a line is
    printed at most every `line_seconds` (None: LINE_SECONDS), so that a log stays short. `quiet` shows nothing.

    >>> with Progress("epoch 1", total=38, unit="steps", warm_up=1) as progress:
    ...     for _ in range(38):
    ...         progress.advance()
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        done: int = 0,
        *,
        unit: str = "",
        warm_up: int = 0,
        quiet: bool = False,
        line_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        self._title, self._total, self._done, self._unit = title, total, done, unit
        self._warm_up, self._quiet, self._clock = warm_up, quiet, clock
        self._line_seconds = LINE_SECONDS if line_seconds is None else line_seconds
        self._console = console or Console(stderr=True)
        self._note = ""
        self._last_line = clock()
        self._timed_from: tuple[float, int] | None = None if warm_up else (clock(), done)
        self._bar: Bars | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
            )
            # what the work prints goes above the bar, but only where standard output is the terminal, too
            self._bar = Bars(*columns, console=self._console, transient=True, redirect_stdout=sys.stdout.isatty())
            self._bar.start()
            self._bar.add_task(self._title, total=self._total, completed=self._done, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more items as done; `note` says how the work goes, and stays until there is another."""
        now = self._clock()
        self._done += count
        self._note = note or self._note
        if self._warm_up:
            self._warm_up -= 1
            self._timed_from = None if self._warm_up else (now, self._done)
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self._done, note=self._after("  "))
        elif not self._quiet and now - self._last_line >= self._line_seconds:
            self._last_line = now
            unit = f" {self._unit}" if self._unit else ""
            of = "" if self._total is None else f" of {self._total:,}"
            print(
                f"{self._title}: {self._done:,}{of}{unit}{self._after(', ')}",
                file=sys.stderr,
                flush=True,
            )

    def warm_up(self, advances: int) -> None:
        """Reckon the time left from the pace after the next `advances` only, as at the start: they hold compilation."""
        self._warm_up, self._timed_from = advances, None

    @property
    def seconds_left(self) -> float | None:
        """Reckoned from the pace since the warm-up; None before there is one, and without a total."""
        if self._timed_from is None or self._total is None:
            return None
        since, done_then = self._timed_from
        done = self._done - done_then
        return (self._clock() - since) / done * (self._total - self._done) if done > 0 else None

    def _after(self, separator: str) -> str:
        seconds = self.seconds_left
        left = "" if seconds is None else f"{duration(seconds)} left"
        return "".join(separator + text for text in (self._note, left) if text)


def duration(seconds: float) -> str:
    """A time in the unit that suits its length.

    >>> duration(45), duration(90), duration(9_000), duration(900_000)
    ('45 s', '1.5 min', '2.5 h', '10.4 days')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3_600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
