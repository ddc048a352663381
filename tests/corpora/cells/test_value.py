"""Cells that are read as texts and ids, and those that are not."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from corpora.cells.value import CellError, id_of, is_missing, text_of

MISSING = [None, float("nan"), Decimal("NaN")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("null", "null"),
        ("NaN", "NaN"),
        ("7.0", "7.0"),
        ("naïve".encode(), "naïve"),
        (404, "404"),
        (10**30, "1" + "0" * 30),
        ([], ""),
        (["one"], "one"),
        (["", None, "one"], "one"),
        *((value, "") for value in MISSING),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1.5, "a decimal number"),
        (True, "true or false"),
        ({"a": 1}, "an object"),
        (["one", "two"], "a list"),
        (("a", 1), "a list"),
        (date(2021, 3, 5), "a date or time"),
        (datetime(2021, 3, 5, tzinfo=UTC), "a date or time"),
        (Decimal("1.5"), "a decimal number"),
        (b"\xff\xfe", "bytes that are not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_with_its_kind(value: Any, kind: str) -> None:
    with pytest.raises(CellError, match=kind):
        text_of(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("PROJ-7", "PROJ-7"),
        ("007", "007"),
        ("7.0", "7.0"),
        (7, "7"),
        (7.0, "7"),
        (Decimal(10**20), "1" + "0" * 20),
        (b"7", "7"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"$oid": "65ab"}, "65ab"),
        ({"$numberLong": "7"}, "7"),
        *((value, "") for value in MISSING),
    ],
)
def test_ids(value: Any, found: str) -> None:
    assert id_of(value) == found


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (7.5, "a decimal number"),
        (float("inf"), "a decimal number"),
        (1.2345678901234567e18, "has lost its last digits"),
        (True, "true or false"),
        ({"id": 7}, "an object"),
        (date(2021, 3, 5), "a date"),
        ([1, 2], "a list"),
    ],
)
def test_what_is_no_id_is_refused(value: Any, kind: str) -> None:
    with pytest.raises(CellError, match=kind):
        id_of(value)


def test_only_values_are_missing_not_texts() -> None:
    assert all(map(is_missing, MISSING)) and not any(map(is_missing, ("", "null", 0, False, [])))
