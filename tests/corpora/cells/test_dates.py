"""Dates of each type and form; day and month are never guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from corpora.cells.dates import decide_dates
from corpora.cells.value import CellError

MOMENT = "2021-03-05T15:42:00"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2021-03-05", "2021-03-05T00:00:00"),
        ("2021-03-05T15:42:00Z", MOMENT + "+00:00"),
        ("2021-03-05 15:42:00 UTC", MOMENT + "+00:00"),
        ("2021-03-05 15:42:00+0200", MOMENT + "+02:00"),
        ("2021/3/5 15:42", MOMENT),
        ("20210305", "2021-03-05T00:00:00"),
        ("20210305154200", MOMENT),
        ("Fri, 05 Mar 2021 15:42:00 +0100", MOMENT + "+01:00"),
        ("Fri Mar 05 15:42:00 +0000 2021", MOMENT + "+00:00"),
        ("05/Mar/21 3:42 PM", MOMENT),
        ("March 5th, 2021", "2021-03-05T00:00:00"),
        (b"2021-03-05", "2021-03-05T00:00:00"),
        (datetime(2021, 3, 5, 15, 42, tzinfo=UTC), MOMENT + "+00:00"),
        (date(2021, 3, 5), "2021-03-05"),
        (1614958920, MOMENT + "+00:00"),
        (1614958920000, MOMENT + "+00:00"),
        ("1614958920", MOMENT + "+00:00"),
        (1614958920.5, "2021-03-05T15:42:00.500000+00:00"),
        (20210305, "2021-03-05T00:00:00"),
        ({"$date": {"$numberLong": "1614958920000"}}, MOMENT + "+00:00"),
        ("0000-00-00 00:00:00", None),
        (None, None),
        (" ", None),
        (Decimal("NaN"), None),
    ],
)
def test_forms_of_dates(value: Any, found: str | None) -> None:
    assert decide_dates([value]).read(value) == found


def test_the_days_above_twelve_show_the_order_for_all_rows() -> None:
    assert decide_dates(["05/03/2021", "25/03/2021"]).read("05/03/2021") == "2021-03-05T00:00:00"
    assert decide_dates(["03/05/2021", "03/25/2021"]).read("03/05/2021") == "2021-03-05T00:00:00"
    assert decide_dates(["05.03.2021"], "day-first").read("05.03.21 15:42") == MOMENT


@pytest.mark.parametrize("values", [["05/03/2021", "06/03/2021"], ["13/05/2021", "05/13/2021"]])
def test_an_order_that_no_day_shows_is_refused(values: list[str]) -> None:
    with pytest.raises(CellError, match="day and month cannot be told apart; set date_order"):
        decide_dates(values)


@pytest.mark.parametrize(
    ("sample", "value", "fault"),
    [
        ("2021-03-05", "yesterday", "no date in ISO 8601"),
        ("2021-03-05", "2021-02-30", "no date"),
        ("2021-03-05", "2021-03-05 10:00 EST", "no date"),
        ("25/03/2021", "03/25/2021", "no date"),
        ("25/03/2021", "25/03/21", "the year has two digits; set date_order"),
        (1614958920, 7, "not between 1990 and 2100"),
        (44197, 44197, "counts neither seconds nor milliseconds"),
        ("2021-03-05", True, "true or false"),
        ("2021-03-05", [1], "a list"),
    ],
)
def test_what_is_no_date_of_the_column_is_refused(sample: Any, value: Any, fault: str) -> None:
    reader = decide_dates([sample])
    with pytest.raises(CellError, match=fault):
        reader.read(value)
