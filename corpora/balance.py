"""Counts of rows read, kept and dropped by reason."""

from collections import Counter
from typing import Any


class Balance:
    """Counts that add up: read = kept + dropped for each reason.

    >>> balance = Balance("corpus")
    >>> balance.kept = 2
    >>> balance.drop("too_short")
    >>> print(balance)
    corpus: read 3 = kept 2 + too_short 1
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept = 0
        self.dropped: Counter[str] = Counter()

    @property
    def read(self) -> int:
        return self.kept + self.dropped.total()

    def drop(self, reason: str, count: int = 1) -> None:
        if count:
            self.dropped[reason] += count

    def counts(self) -> dict[str, Any]:
        """The counts as the manifest records them, reasons sorted by name."""
        return {"read": self.read, "kept": self.kept, "dropped": dict(sorted(self.dropped.items()))}

    def __str__(self) -> str:
        reasons = "".join(f" + {reason} {count:,}" for reason, count in sorted(self.dropped.items()))
        return f"{self.name}: read {self.read:,} = kept {self.kept:,}{reasons}"
