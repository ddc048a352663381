"""Reads CSV, TSV and other delimited files: the dialect is found once a file, or named, and said."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

from corpora.files.decide import decide
from corpora.files.dialect import DialectSettings
from corpora.files.encoding import encoding_of, encoding_title, open_text
from corpora.files.packed import open_unpacked
from corpora.files.reading import Reading, Sample
from corpora.files.rows import BadLines, RowReader, bounded_lines
from stackbert.core.errors import StackbertError, require
from stackbert.core.printing import printable

SAMPLE_CHARACTERS = 1 << 20  # some 1,000 posts; a reading of them takes 5 ms
NAMES_SHOWN = 8

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)  # as Excel writes and reads it
_FIRST_END = re.compile(r'(?:[^"\r\n]|"[^"]*")*(\r*\n|\r)')  # of a line, outside of quotes

NULL = r"\N"  # how MySQL and Postgres write that a field has no value

Values = dict[str, str | list[str]]
"""Value of each column; a list for a name that the header repeats."""


@dataclass(frozen=True)
class DelimitedFile:
    """A delimited file of which the dialect is known."""

    path: Path
    encoding: str
    reading: Reading
    skipped: int = 0
    """Lines before the header: 'sep=;'."""

    @property
    def names(self) -> list[str]:
        """The header's names without spaces around them; empty where a column has none."""
        return [name.strip().removeprefix("\ufeff") for name in self.reading.header]

    def rows(self) -> Iterator[tuple[int, Values | BadLines]]:
        """Line number and values of each row."""
        names, reading = self.names, self.reading
        repeated = "" in names or len(set(names)) < len(names)
        columns = {name: [at for at, other in enumerate(names) if other == name] for name in names if name}
        with open_text(self.path, self.encoding, reading.dialect.newline) as file:
            lines = bounded_lines(file, self.path)
            for _ in range(self.skipped):
                next(lines)
            reader = RowReader(lines, reading.dialect, shape=reading.shape)
            rows = reader.rows(1 + self.skipped)
            next(rows)  # the header
            reader.width = len(names)
            for number, fields in rows:
                if isinstance(fields, BadLines):
                    yield number, fields
                    continue
                if NULL in fields:
                    fields = ["" if value == NULL else value for value in fields]
                if fields[-1] == reading.header[-1] and self._is_header(fields):
                    yield number, BadLines("the header again, as in files that were put together", ",".join(fields))
                elif reading.trailing and fields[-1]:
                    yield number, BadLines(f"{len(names)} fields, the header has {len(names) - 1}", fields[0])
                else:
                    yield number, _together(columns, fields) if repeated else dict(zip(names, fields, strict=True))

    def _is_header(self, fields: Sequence[str]) -> bool:
        """Whether a row of several fields repeats the header, with or without a byte order mark."""
        return len(fields) > 1 and (fields[0].removeprefix("\ufeff"), *fields[1:]) == self.reading.header

    def __str__(self) -> str:
        names = list(dict.fromkeys(filter(None, self.names)))
        listed = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
        count = f"{len(names)} column{'s' if len(names) != 1 else ''}"
        text: str = printable(f"read as {self.reading.dialect}, {encoding_title(self.encoding)}, {count}: {listed}")
        return text


def open_delimited(path: Path, settings: DialectSettings | None = None) -> DelimitedFile:
    """Find the encoding and the dialect of a file, except for what the settings name.

    Raises StackbertError if the file is empty, or if it can be read in several ways.
    """
    settings = settings or DialectSettings()
    encoding = encoding_of(path, settings.encoding)
    newline = _newline(path, encoding)
    with open_text(path, encoding, newline) as file:
        lines = bounded_lines(file, path)
        first = next(lines, "")
        separator = _SEPARATOR_LINE.fullmatch(first)
        if separator and settings.delimiter == "auto":
            settings = replace(settings, delimiter=separator[1])
        sample = _sample(path, lines if separator else chain([first], lines))
    require(bool(sample.text.strip()), f"{path}: is empty; a table has a header and rows")
    return DelimitedFile(path, encoding, decide(path, sample, settings, newline), int(separator is not None))


@cache
def say_once(text: str) -> None:
    """Print a note on stderr, the first time that it is given: a table may be opened several times."""
    print(text, file=sys.stderr)


def _newline(path: Path, encoding: str) -> str:
    with open_text(path, encoding, newline="") as file:
        try:
            found = _FIRST_END.match(file.read(SAMPLE_CHARACTERS))
        except UnicodeError as error:
            raise StackbertError(f"{path}: {error}; name its encoding, or convert the file to UTF-8 (iconv)") from None
    return "\r" if found and found[1] == "\r" else "\n"


def _sample(path: Path, lines: Iterator[str]) -> Sample:
    """The first lines, and where these have no quote, as many from the first line with one."""
    taken = _take(lines)
    if not any('"' in line for line in taken) and _has_quotes(path):
        quoted = next((line for line in lines if '"' in line), "")
        taken += [quoted, *_take(lines)]
    return Sample(taken, next(lines, None) is not None)


def _has_quotes(path: Path) -> bool:
    """Whether a quote stands anywhere in the file; bytes are searched, ten times as fast as lines."""
    with open_unpacked(path) as file:
        return any(b'"' in block for block in iter(lambda: file.read(SAMPLE_CHARACTERS), b""))


def _take(lines: Iterator[str]) -> list[str]:
    taken, characters = list[str](), 0
    for line in lines:
        taken.append(line)
        characters += len(line)
        if characters >= SAMPLE_CHARACTERS:
            break
    return taken


def _together(columns: dict[str, list[int]], fields: Sequence[str]) -> Values:
    """Values by name: those of a repeated name as a list, without the empty ones; columns without a name are left
    out."""
    return {
        name: fields[places[0]] if len(places) == 1 else [fields[at] for at in places if fields[at]]
        for name, places in columns.items()
    }
