"""Reads the rows of JSON lines."""

import json
from pathlib import Path

from corpora.sources.lines import read_lines
from corpora.sources.source import bad_row
from corpora.tables.row import Rows


def json_rows(path: Path) -> Rows:
    """Rows of a file with one JSON object a line; any other line is a bad row."""
    for _, number, line in read_lines(path):
        where = f"line {number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield where, bad_row(where, f"not JSON: {error}", line)
            continue
        yield where, values if isinstance(values, dict) else bad_row(where, "not a JSON object", line)
