"""Reads the rows of delimited files: CSV, TSV."""

from pathlib import Path

from corpora.files.delimited import open_delimited, say_once
from corpora.files.dialect import DialectSettings
from corpora.files.rows import BadLines
from corpora.sources.source import bad_row
from corpora.tables.row import Rows


def csv_rows(path: Path, settings: DialectSettings, table: Path) -> Rows:
    """Rows of a file with a header; a row with more or fewer fields than the header is a bad row.

    `table` is the file or its folder, for the note of how it is read.
    """
    file = open_delimited(path, settings)
    say_once(f"{table}: {file}")
    for number, values in file.rows():
        where = f"line {number}"
        yield where, bad_row(where, values.detail, values.text) if isinstance(values, BadLines) else values
