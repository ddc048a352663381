"""Tags in each notation."""

import pytest

from corpora.sources.tags import parse_tags


@pytest.mark.parametrize(
    "value",
    [
        "<c#><asp.net>",
        "|c#|asp.net|",
        '["c#", "asp.net"]',
        "['c#', 'asp.net']",
        "c#, asp.net",
        "c# asp.net",
        "c#;asp.net;c#",
        ["c#", " asp.net", None, ""],
        ("c#", "asp.net"),
    ],
)
def test_every_notation_gives_the_same_tags(value: object) -> None:
    assert parse_tags(value) == ("c#", "asp.net")


@pytest.mark.parametrize("value", [None, "", "  ", float("nan"), [], "[]", "<>", "||"])
def test_missing_values_give_no_tags(value: object) -> None:
    assert parse_tags(value) == ()


def test_a_deep_list_is_no_recursion_error() -> None:
    assert parse_tags("[" * 100_000) == ()
