"""Writes a made table, reads it, and says what became of it."""

from pathlib import Path
from typing import Any

from corpora.files.dialect import DialectSettings
from corpora.files.encoding import BROKEN_BYTE
from corpora.sources.source import Dropped
from corpora.tables.files import AS_FOUND, table_rows
from stackbert.core.errors import StackbertError
from tests.corpora.tables.made_tables import Rows, Written

EQUAL, REFUSED, UNWRITTEN = "equal", "refused", "cannot be written"


def round_trip(folder: Path, rows: Rows, written: Written, settings: DialectSettings = AS_FOUND) -> str:
    """'equal', 'refused', or 'cannot be written' by that program; AssertionError if the rows come back otherwise."""
    path = folder / f"table{written.ending}"
    try:
        written.write(path, rows)
    except Exception:  # whatever the program says of text that it cannot write
        return UNWRITTEN
    try:
        read = [values for _, values in table_rows(path, settings)]
    except StackbertError:
        return REFUSED
    if any(isinstance(values, Dropped) for values in read):
        return REFUSED
    if any(BROKEN_BYTE.search(str(value)) for row in read if isinstance(row, dict) for value in row.values()):
        return REFUSED  # a post with such a value is a bad row
    expected = rows
    if written.ending in (".csv", ".tsv"):
        expected = [{name.strip(): value for name, value in row.items()} for row in rows]
    if len(rows[0]) == 1:  # a blank line holds no row, and some programs write an empty text as one
        expected, read = ([row for row in each if any(row.values())] for each in (expected, read))
    assert list(map(_comparable, read)) == list(map(_comparable, expected)), written.title
    return EQUAL


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    r"""The row without '\r' at its end, which programs that end lines with '\n' write without quotes."""
    last = list(row)[-1:]
    return row | {name: row[name].rstrip("\r") for name in last}
