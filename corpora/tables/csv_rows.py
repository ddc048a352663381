"""Reads the rows of CSV and TSV files."""

import csv
from pathlib import Path

from corpora.sources.lines import MAX_LINE_BYTES, refuse_other_encodings
from corpora.sources.source import bad_row
from corpora.tables.csv_encoding import csv_encoding
from corpora.tables.row import Rows


def csv_rows(path: Path) -> Rows:
    """Rows of a CSV with a header; a row with more or fewer fields than the header is a bad row."""
    csv.field_size_limit(MAX_LINE_BYTES)
    with path.open(encoding=csv_encoding(path), errors="surrogateescape", newline="") as file:
        refuse_other_encodings(path, file.buffer.peek(8))  # type: ignore[attr-defined]
        reader = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        names = next(reader, [])
        while True:
            where = f"line {reader.line_num + 1}"
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield where, bad_row(where, str(error), "")
                continue
            if len(fields) == len(names):
                yield where, dict(zip(names, fields, strict=True))
            elif fields:
                detail = f"{len(fields)} fields, the header has {len(names)}"
                yield where, bad_row(where, detail, ",".join(fields))
