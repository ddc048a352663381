"""Divides lines into rows of fields; where a quote is not closed, the rows after it are found again."""

import csv
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from corpora.files.dialect import Dialect
from corpora.files.shape import RowShape
from stackbert.core.errors import StackbertError

MAX_LINE = 4 << 20
"""Characters of a line, and of a field; no post is so long."""

UNCLOSED = "a quote is not closed"
GOES_ON = "a field goes on after its closing quote: a quote is not doubled, or not closed"
_RETURN_MARK = "\udc0d"  # stands for a carriage return inside a row; no codec decodes to it
_RETURN_INSIDE = re.compile(r"\r(?![\r\n]|$)")


@dataclass(frozen=True)
class BadLines:
    """Lines that hold no row."""

    detail: str
    text: str


Numbered = tuple[int, list[str] | BadLines]
"""Line number from 1, and the fields of the row that begins there."""


def bounded_lines(file: IO[str], name: object) -> Iterator[str]:
    """The lines of a text with their ends; of a line above 4 MB the beginning, which has MAX_LINE characters.

    Raises StackbertError for bytes that cannot be decoded; `name` is for errors.
    """
    number = 0
    try:
        for line in iter(partial(file.readline, MAX_LINE), ""):
            number += 1
            yield line
            while len(line) == MAX_LINE:  # the rest is left out
                line = file.readline(MAX_LINE)
    except UnicodeError as error:
        raise StackbertError(
            f"{name}: after line {number}: {error}; name its encoding, or convert the file to UTF-8 (iconv)"
        ) from None


@dataclass
class RowReader:
    """Reads rows of a known number of fields; any other is a bad line. Blank lines are skipped.

    A quoted field that does not end as it should, or that hides whole rows, costs one line: reading goes on at the
    next, and trusts only rows of the usual shape until it is past the lines in doubt.
    """

    lines: Iterator[str]
    dialect: Dialect
    width: int = 0
    """Fields of a row; 0 takes that of the first row."""
    shape: RowShape = field(default_factory=RowShape)
    _doubted: int = 0
    """Rows that begin before this line are in doubt."""
    _is_long: bool = False
    """Whether a line of the present row is only the beginning of one."""
    _again: deque[str] = field(default_factory=deque)
    _taken: list[str] = field(default_factory=list)
    """Lines of the present row."""

    def rows(self, number: int = 1) -> Iterator[Numbered]:
        """Yield the rows from line `number` on, which is the next of `lines`."""
        csv.field_size_limit(MAX_LINE)
        reader, taken = self.dialect.reader(self._recorded()), self._taken
        delimiter = self.dialect.delimiter
        marked = 0  # rows that begin before this line hold _RETURN_MARK
        while True:
            fields, problem = self._next(reader)
            if not taken:
                return
            is_usual = not problem and 0 < self.width == len(fields) and number >= self._doubted and number >= marked
            if is_usual and (len(taken) == 1 or not self.shape.hides_rows(taken, delimiter)):
                yield number, fields  # nearly all rows; the rest of this is slow
                number += len(taken)
                continue
            if problem and self._mark_returns(problem):
                reader, marked = self.dialect.reader(self._recorded()), number + len(taken)
                continue
            if number < marked:
                fields = [value.replace(_RETURN_MARK, "\r") for value in fields]
            if "".join(taken).strip():
                self.width = self.width or len(fields)
                problem = self._doubt(number, problem) or self._problem(fields, number)
                yield number, BadLines(problem, taken[0].rstrip("\r\n")) if problem else fields
            if problem and len(taken) > 1:
                self._again.extendleft(reversed(taken[1:]))
                del taken[1:]
                reader = self.dialect.reader(self._recorded())
            number += len(taken)

    def _doubt(self, number: int, problem: str) -> str:
        """Doubt the lines of a row with a problem, and those after it until one looks like a row; returns the problem.

        Without a telling column, the lines after it cannot be judged, and are trusted.
        """
        if problem:
            after = sys.maxsize if self.shape.is_telling and problem in (UNCLOSED, GOES_ON) else 0
            self._doubted = max(self._doubted, number + len(self._taken), after)
        return problem

    def _next(self, reader: Iterator[list[str]]) -> tuple[list[str], str]:
        """The next row, and what is wrong with its quotes or length; its lines are in `_taken`, none at the end."""
        self._taken.clear()
        self._is_long = False
        try:
            fields = next(reader, [])
        except csv.Error as error:
            return [], _in_words(str(error))
        return fields, f"longer than {MAX_LINE:,} characters; no post is so long" if self._is_long else ""

    def _recorded(self) -> Iterator[str]:
        while self._again:
            line = self._again.popleft()
            self._taken.append(line)
            self._is_long = self._is_long or len(line) >= MAX_LINE
            yield line
        for line in self.lines:
            self._taken.append(line)
            if len(line) >= MAX_LINE:
                self._is_long = True
            yield line

    def _problem(self, fields: Sequence[str], number: int) -> str:
        """What is wrong with a row; empty for a good one."""
        if len(fields) != self.width:
            problem = f"{len(fields)} fields, the header has {self.width}"
            return self._doubt(number, problem) if len(self._taken) > 1 else problem
        if len(self._taken) > 1 and self.shape.hides_rows(self._taken, self.dialect.delimiter):
            problem = f"a quoted field takes up {len(self._taken)} lines that look like rows: a quote is not closed"
            return self._doubt(number, problem)
        if number < self._doubted:
            if not (self.shape.is_telling and self.shape.fits(fields)):
                return "after a quote that is not closed, and does not look like a row"
            self._doubted = self._doubted if self._doubted < sys.maxsize else 0
        return ""

    def _mark_returns(self, problem: str) -> bool:
        """Have the lines of a row read again where a carriage return inside it was taken for its end."""
        if not problem.startswith("new-line character") or self.dialect.newline != "\n":
            return False
        marked = [_RETURN_INSIDE.sub(_RETURN_MARK, line) for line in self._taken]
        if marked == self._taken:
            return False
        self._again.extendleft(reversed(marked))
        return True


def _in_words(error: str) -> str:
    """An error of the csv module, as people understand it."""
    return UNCLOSED if error == "unexpected end of data" else GOES_ON if "expected after" in error else error
