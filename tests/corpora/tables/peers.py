"""Compares readers of CSV on tables made by chance: how often each is right, refuses, or is wrong without a word.

    python -m tests.corpora.tables.peers 1500

DuckDB and CleverCSV take part where they are installed.
"""

import contextlib
import csv
import importlib.util
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.sources.source import Dropped
from corpora.tables.files import table_rows
from tests.corpora.tables.made_tables import DELIMITED, Rows, Written, tables

Table = list[list[str]]
WAYS = [
    way for way in DELIMITED if not any(word in way.title for word in ("quotechar", "utf-16", "cp1252", "sep True"))
]
"""What all of the readers can read: UTF-8 and double quotes."""


def ours(path: Path) -> Table:
    """This project's reader."""
    rows = [values for _, values in table_rows(path)]
    if any(isinstance(values, Dropped) for values in rows):
        raise ValueError("bad rows")
    return [list(values.values()) for values in rows if isinstance(values, dict)]


def duckdb(path: Path) -> Table:
    """DuckDB's sniffer and reader."""
    import duckdb

    rows = duckdb.connect().read_csv(str(path), all_varchar=True, header=True).fetchall()
    return [["" if value is None else value for value in row] for row in rows]


def with_pandas(path: Path) -> Table:
    """pandas, which asks csv.Sniffer for the delimiter."""
    return pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False).to_numpy().tolist()


def sniffer(path: Path) -> Table:
    """The standard library's Sniffer and reader."""
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), csv.Sniffer().sniff(text)))[1:]


def clevercsv(path: Path) -> Table:
    """CleverCSV's detector and reader."""
    import clevercsv

    text = path.read_bytes().decode("utf-8-sig")
    return list(clevercsv.reader(io.StringIO(text, newline=""), clevercsv.Sniffer().sniff(text)))[1:]


READERS: list[Callable[[Path], Table]] = [ours, duckdb, clevercsv, with_pandas, sniffer]


def without_returns(table: Table) -> Table:
    r"""Values without '\r' at their end, which some programs write without quotes before the end of a line."""
    return [[value.rstrip("\r") for value in row] for row in table]


def main(count: int) -> None:
    """Print a line for each reader."""
    readers = [read for read in READERS if is_installed(read.__name__)]
    found = {read.__name__: Counter[str]() for read in readers}
    seconds = Counter[str]()

    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(tables(), st.sampled_from(WAYS))
    def compare(rows: Rows, written: Written) -> None:
        path = Path(folder) / f"table{written.ending}"
        with contextlib.suppress(Exception):
            written.write(path, rows)
            plain = without_returns([list(row.values()) for row in rows])
            for read in readers if len(rows[0]) > 1 else []:
                start = time.perf_counter()
                try:
                    expected = indexed(plain) if "index" in written.title and read is not ours else plain
                    outcome = "right" if without_returns(read(path)) == expected else "wrong"
                except Exception:  # each reader has its own
                    outcome = "refused"
                found[read.__name__][outcome] += 1
                seconds[read.__name__] += time.perf_counter() - start

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        compare()
    for name, outcomes in found.items():
        print(name, dict(outcomes), f"{seconds[name]:.1f} s")


def indexed(table: Table) -> Table:
    """The table with the numbers of its rows, as pandas writes them before each; this project leaves them out."""
    return [[f"{number}", *row] for number, row in enumerate(table)]


def is_installed(name: str) -> bool:
    """Whether a reader that is a package of its own is there."""
    return name not in ("duckdb", "clevercsv") or importlib.util.find_spec(name) is not None


if __name__ == "__main__":
    main(int(sys.argv[1]))
