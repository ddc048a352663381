"""Counts of rows read, kept and dropped by reason."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

PROGRESS_SECONDS = 5.0


class Balance:
    """Counts that add up: read = kept + dropped for each reason.

    >>> balance = Balance("corpus")
    >>> balance.drop("too_short"); balance.keep(); balance.keep()
    >>> print(balance)
    corpus: read 3 = kept 2 + too_short 1
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.kept = 0
        self.dropped: Counter[str] = Counter()
        self._clock = clock
        self._next_line = clock() + PROGRESS_SECONDS

    @property
    def read(self) -> int:
        return self.kept + self.dropped.total()

    def keep(self) -> None:
        self.kept += 1
        self._show_progress()

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] += count
        self._show_progress()

    def counts(self) -> dict[str, Any]:
        """The counts as the manifest records them, reasons sorted by name."""
        return {"read": self.read, "kept": self.kept, "dropped": dict(sorted(self.dropped.items()))}

    def __str__(self) -> str:
        reasons = "".join(f" + {reason} {count:,}" for reason, count in sorted(self.dropped.items()))
        return f"{self.name}: read {self.read:,} = kept {self.kept:,}{reasons}"

    def _show_progress(self) -> None:
        if self._clock() >= self._next_line:
            print(self, file=sys.stderr, flush=True)
            self._next_line = self._clock() + PROGRESS_SECONDS
