"""What rows of a table look like, to recognise a row where quotes have come out of step."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SHAPES = 3  # of a telling column: ids, dates, numbers, classes; titles have many more
COVERED = 0.9  # share of the column's values that its shapes must have
RARE = 0.02  # a shape that fewer of the values have is no habit
MAX_LENGTH = 64  # characters; a longer value is prose
PROSE_LINES = 10  # so many lines in a row with the same number of delimiters, as rows have and prose has not

_WORD = re.compile(r"\w+")


def shape_of(value: str) -> str | None:
    """The value with 0 for each number and w for each other word; None for prose.

    >>> shape_of("ABC-12"), shape_of("2024-01-31 07:15")
    ('w-0', '0-0-0 0:0')
    """
    if len(value) > MAX_LENGTH:
        return None
    return _WORD.sub(lambda found: "0" if found[0].isdecimal() else "w", value.strip())


@dataclass(frozen=True)
class RowShape:
    """The shapes of each column's values; None for a column whose values have many."""

    columns: tuple[frozenset[str] | None, ...] = ()

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]]) -> "RowShape":
        """The shape of rows of the same length."""
        return cls(tuple(map(_shapes, zip(*rows, strict=True))))

    @property
    def is_telling(self) -> bool:
        return any(shapes is not None and shapes != {""} for shapes in self.columns)

    def fits(self, fields: Sequence[str]) -> bool:
        """Whether the fields look like those of a row."""
        return len(fields) == len(self.columns) and all(
            shapes is None or shape_of(value) in shapes for value, shapes in zip(fields, self.columns, strict=True)
        )

    def hides_rows(self, lines: Sequence[str], delimiter: str) -> bool:
        """Whether the lines of one row look like many rows, of which a quote has made one.

        Each of the lines then has a row's number of delimiters, the first and the last included. In a text of several
        lines, the delimiters before or after it stand in one of its lines only.
        """
        width = len(self.columns)
        if (
            width < 2
            or lines[0].count(delimiter) != width - 1
            or any(line.count(delimiter) != width - 1 for line in lines)
        ):
            return False
        rows = [line.rstrip("\r\n").split(delimiter) for line in lines]
        if any('""' in value and value != '""' for row in rows for value in row):
            return False  # quotes that were doubled on purpose
        if not self.is_telling:
            return len(lines) >= PROSE_LINES
        return all(self.fits([value.strip('"') for value in row]) for row in rows[1:])


def _shapes(values: Sequence[str]) -> frozenset[str] | None:
    """The shapes that are a habit of the column; rare ones may come from rows that are none."""
    counts = Counter(map(shape_of, values))
    least = max(2, RARE * len(values)) if len(counts) > 1 else 1
    habits = {shape: count for shape, count in counts.most_common(MAX_SHAPES) if count >= least}
    if None in habits or sum(habits.values()) < COVERED * len(values):
        return None
    return frozenset(shape for shape in habits if shape is not None)
