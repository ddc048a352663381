"""Tables made by chance come back as they were, or are refused: never otherwise."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.corpora.tables.made_tables import DELIMITED, JSON, PARQUET, Rows, Written, tables
from tests.corpora.tables.round_trip import EQUAL, REFUSED, round_trip

MOST_REFUSED = 0.02  # of the tables in usual dialects
UNUSUAL = ("escapechar", "quotechar", "pandas by default")
"""Dialects that a file often does not show, and a JSON form that is no list of rows: to be named, or written anew."""


def outcomes(folder: Path, ways: list[Written], count: int) -> Counter[str]:
    """Write and read `count` tables, the same in each run."""
    found = Counter[str]()

    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(tables(), st.sampled_from(ways))
    def write_and_read(rows: Rows, written: Written) -> None:
        is_unusual = any(name in written.title for name in UNUSUAL)
        found["unusual" * is_unusual + round_trip(folder, rows, written)] += 1

    write_and_read()
    return found


@pytest.mark.parametrize("ways", [DELIMITED, JSON, PARQUET], ids=["delimited", "JSON", "Parquet"])
def test_a_hundred_tables_come_back_or_are_refused(tmp_path: Path, ways: list[Written]) -> None:
    found = outcomes(tmp_path, ways, 100)
    assert found[EQUAL] > 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ways", "count"), [(DELIMITED, 2_000), (JSON + PARQUET, 500)], ids=["delimited", "JSON and Parquet"]
)
def test_thousands_of_tables_come_back_and_few_are_refused(tmp_path: Path, ways: list[Written], count: int) -> None:
    found = outcomes(tmp_path, ways, count)
    print(dict(found))
    assert found[EQUAL] > count / 2
    assert found[REFUSED] <= MOST_REFUSED * (found[REFUSED] + found[EQUAL])
