"""Tables that other software writes come back as they were meant, or are refused; never otherwise."""

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.source import Stream
from corpora.tables.table import table_source
from stackbert.core.errors import StackbertError
from tests.corpora.cells.made_tables import (
    COLUMNS,
    CSV_WRITERS,
    ENDINGS,
    NOTATIONS,
    OTHER_WRITERS,
    Made,
    tables,
    write_csv,
)

QUICK, MANY = 300, 2_000
MOST_REFUSED = 0.25
"""A table of a few rows often has tags with spaces, or days below 13, that can be read in two ways."""
FIELDS: dict[str, Any] = {f"{name}_column": name for name in COLUMNS}


def read(path: Path) -> list[Any]:
    config = CorpusConfig(source="table", path=str(path), **FIELDS)
    source = table_source(path, config)
    assert isinstance(source.rows, Stream)
    return [outcome for part in source.rows.read() for outcome in source.parse(part)]


def moment(text: str | None) -> datetime | None:
    found = datetime.fromisoformat(text) if text else None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found


def compare(made: Made, outcomes: list[Any]) -> bool:
    """Whether all rows were read; fails if one was read otherwise than it was meant."""
    assert len(outcomes) == len(made.ids)
    for row, post in enumerate(outcomes):
        if isinstance(post, RawPost):
            assert post.id == made.ids[row]
            assert (post.title, post.text) == (made.titles[row], made.bodies[row])
            assert post.tags == made.tags[row], made.columns["tags"]
            assert moment(post.created) == made.dates[row]
    return all(isinstance(post, RawPost) for post in outcomes)


def round_trips(folder: Path, number: int) -> Counter[str]:
    """Write and read `number` tables; returns how many were read whole, refused, or had bad rows."""
    results = Counter[str]()

    @settings(
        max_examples=number, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(made=tables(), data=st.data())
    def check(made: Made, data: st.DataObject) -> None:
        writers = {**(CSV_WRITERS if made.is_text else {}), **OTHER_WRITERS}
        name = data.draw(st.sampled_from(sorted(writers)))
        path = folder / f"table.{ENDINGS[name.split()[-1]]}"
        writers[name](made, path)
        try:
            outcomes = read(path)
        except StackbertError:
            results["refused"] += 1
            return
        results["read" if compare(made, outcomes) else "bad rows"] += 1

    check()
    return results


def test_tables_come_back_or_are_refused(tmp_path: Path) -> None:
    results = round_trips(tmp_path, QUICK)
    assert results["refused"] + results["bad rows"] <= MOST_REFUSED * results.total(), results


@pytest.mark.slow
def test_two_thousand_tables_come_back_or_are_refused(tmp_path: Path) -> None:
    results = round_trips(tmp_path, MANY)
    assert results["refused"] + results["bad rows"] <= MOST_REFUSED * results.total(), results


@pytest.mark.parametrize("notation", sorted(NOTATIONS))
@pytest.mark.parametrize("seed", range(3))
def test_no_notation_is_refused_in_a_table_of_some_hundred_rows(tmp_path: Path, notation: str, seed: int) -> None:
    numbers = random.Random(f"{notation}{seed}")
    write, pool = NOTATIONS[notation]
    known = numbers.sample([tag for tag in pool if "\\" not in tag], 8)  # a CSV may have it as an escape
    made = Made()
    for row in range(300):
        most = 1 if notation == "single" else 3
        made.tags.append(tuple(numbers.sample(known, numbers.randint(row % 10 > 0, most))))
        made.ids.append(str(row))
        made.titles.append(f"Title {row}")
        made.bodies.append(f"A body\nof {row} lines")
        made.dates.append(None)
    cells = [write(tags) if tags else "" for tags in made.tags]
    made.columns = {"id": made.ids, "title": made.titles, "body": made.bodies, "tags": cells, "date": [None] * 300}
    write_csv(made, tmp_path / "table.csv")
    assert compare(made, read(tmp_path / "table.csv"))
