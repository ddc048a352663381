"""The table of a plan: what each stage of a study takes, on each machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from stackbert.core.printing import columns

GIB = 2**30
HERE = "this machine"
TOO_LARGE, DONE = "too large", "done"


@dataclass(frozen=True)
class Machine:
    """Where a study could run."""

    name: str
    price: float
    """Of an hour; 0 if not given."""


@dataclass(frozen=True)
class StagePlan:
    """What one stage takes."""

    name: str
    work: str
    """Its amount: texts, tokens, epochs."""
    seconds: tuple[float | None, ...]
    """On each machine; None where it does not fit in memory."""
    disk: int
    """Bytes that it leaves, and of training states at their largest."""
    memory: int = 0
    """Bytes of the measured process; 0 where it was not measured."""
    done: bool = False


@dataclass(frozen=True)
class StudyPlan:
    """What a study takes, stage by stage."""

    machines: tuple[Machine, ...]
    stages: tuple[StagePlan, ...]
    notes: tuple[str, ...]
    """What the estimates rest on, a sentence each."""

    @property
    def total(self) -> StagePlan:
        """All stages that are not done, together."""
        seconds = tuple(_sum([stage.seconds[n] for stage in self.stages]) for n in range(len(self.machines)))
        disk = sum(stage.disk for stage in self.stages)
        return StagePlan("total", "", seconds, disk, max(stage.memory for stage in self.stages))

    def __str__(self) -> str:
        names = [machine.name for machine in self.machines]
        priced = [machine for machine in self.machines if machine.price]
        header = ["stage", "work", *names, "disk", "memory", *(f"cost, {machine.name}" for machine in priced)]
        lines = [self._cells(stage) for stage in (*self.stages, self.total)]
        table = aligned([header, *lines], left=2)
        return "\n".join([*table[:-1], "-" * max(map(len, table)), table[-1], "", *self.notes])

    def _cells(self, stage: StagePlan) -> list[str]:
        times = [DONE if stage.done else TOO_LARGE if one is None else duration(one) for one in stage.seconds]
        memory = f"{stage.memory / GIB:,.1f} GiB" if stage.memory else ""
        costs = [
            "" if stage.done or seconds is None else f"{machine.price * seconds / 3600:,.2f}"
            for machine, seconds in zip(self.machines, stage.seconds, strict=True)
            if machine.price
        ]
        return [stage.name, stage.work, *times, f"{stage.disk / GIB:,.2f} GiB", memory, *costs]


def duration(seconds: float) -> str:
    """Seconds, minutes or hours.

    >>> duration(42.4), duration(600), duration(86_400)
    ('42 s', '10.0 min', '24.00 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6_000 else f"{seconds / 3600:,.2f} h"


def aligned(lines: Sequence[Sequence[str]], left: int) -> list[str]:
    """Lines of a table for the terminal: the first `left` columns to the left, the others to the right."""
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]

    def cell(text: str, width: int, number: int) -> str:
        space = " " * (width - columns(text))
        return text + space if number < left else space + text

    return ["  ".join(map(cell, line, widths, range(len(line)))).rstrip() for line in lines]


def _sum(seconds: Sequence[float | None]) -> float | None:
    return None if None in seconds else sum(each or 0.0 for each in seconds)
