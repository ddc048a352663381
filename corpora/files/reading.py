"""A sample of a delimited file, read with one dialect."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from corpora.files.dialect import Dialect
from corpora.files.rows import UNCLOSED, BadLines, RowReader
from corpora.files.shape import RowShape

TAIL_CHARACTERS = 1 << 16  # of a last row that the sample cuts off; a longer one is a quote that is not closed
MAX_FILLED = 0.1  # of the rows, those with text after a last delimiter that the header has not; they are bad rows

_CLOSED = re.compile(r'"(?:[^"]|"")*"', re.DOTALL)
_NEEDS_QUOTES = re.compile(r'[,;\t|"\r\n]|^\s|\s$|^$')  # whatever the delimiter: programs quote rather more
_NO_TEXT = re.compile(r"(?:[-+]?[0-9.,eE+-]*|NA|NaN|nan|NULL|null|None|\\N|true|false|True|False|TRUE|FALSE)")


@dataclass(frozen=True)
class Sample:
    """The first lines of a file, and those where quotes begin."""

    lines: Sequence[str]
    is_cut: bool = False
    """Whether the file goes on after them."""

    @cached_property
    def text(self) -> str:
        return "".join(self.lines)


@dataclass(frozen=True)
class Reading:
    """A sample read with a dialect."""

    dialect: Dialect
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    num_lines: int
    bad: tuple[tuple[int, str], ...]
    """Number, within the sample, and fault of each line that is in no row."""
    shape: RowShape
    trailing: bool = False
    """Whether each row ends with a delimiter that the header has not."""

    @property
    def is_whole(self) -> bool:
        return not self.bad

    @property
    def share(self) -> float:
        """Of the lines, those in rows that could be read."""
        return 1 - len(self.bad) / max(1, self.num_lines)

    @cached_property
    def quotes(self) -> tuple[int, int]:
        """Fields in quotes, and fields that begin with a quote and are not; of a reading that leaves quotes alone."""
        fields = [value for row in (self.header, *self.rows) for value in row if value.startswith('"')]
        closed = sum(_CLOSED.fullmatch(value) is not None for value in fields)
        return closed, len(fields) - closed

    def is_quoted_by_rule(self) -> bool:
        """Whether quotes stand as programs set them: in the header, for all texts of a column, or only where needed."""
        if self.header and all(_CLOSED.fullmatch(name) for name in self.header):
            return True
        for values in zip(*self.rows, strict=True):
            closed = [value for value in values if _CLOSED.fullmatch(value)]
            needless = [value for value in closed if not _NEEDS_QUOTES.search(value[1:-1])]
            if needless and any(not _NO_TEXT.fullmatch(value) for value in values if not _CLOSED.fullmatch(value)):
                return False
        return True


def read_sample(sample: Sample, dialect: Dialect) -> Reading:
    """Read a sample; twice where quotes may have come out of step, which the shape of the rows shows."""
    reading = _read(sample, dialect, RowShape())
    if len(reading.bad) > reading.num_lines / 2 and len(reading.header) > 1:
        longer = _read(sample, dialect, RowShape(), trailing=True)
        filled = sum(row[-1] != "" for row in longer.rows)
        reading = longer if filled < MAX_FILLED * len(longer.rows) else reading
    if reading.bad or any("\n" in value for row in reading.rows for value in row):
        return _read(sample, dialect, reading.shape, reading.trailing)
    return reading


def _read(sample: Sample, dialect: Dialect, shape: RowShape, trailing: bool = False) -> Reading:
    reader = RowReader(iter(sample.lines), dialect, shape=shape)
    rows, bad = list[list[str]](), list[tuple[int, str]]()
    header: tuple[str, ...] | None = None
    for number, fields in reader.rows():
        if isinstance(fields, BadLines):
            if sample.is_cut and _is_tail(sample.lines, number, fields):
                break
            bad.append((number, fields.detail))
        elif header is None:
            header = (*fields, "") if trailing else tuple(fields)
            reader.width = len(header)
        else:
            rows.append(fields)
    return Reading(dialect, header or (), rows, len(sample.lines), tuple(bad), RowShape.of(rows), trailing)


def _is_tail(lines: Sequence[str], number: int, found: BadLines) -> bool:
    """Whether a row is unreadable because the sample ends in it."""
    return found.detail == UNCLOSED and sum(map(len, lines[number - 1 :])) <= TAIL_CHARACTERS
