"""The notation of a column: decided by all its first rows, or refused."""

import pytest

from corpora.cells.notation_decision import decide_notation
from corpora.cells.value import CellError

TOPICS = ["python", "sql", "java", "css", "html"]
PAIRS = [f"{one} {other}" for one in TOPICS for other in TOPICS if one != other]


@pytest.mark.parametrize(
    ("texts", "notation"),
    [
        (["<a><b>", "<c>"], "angle"),
        (["|a|b|", "|c|"], "pipe"),
        (["a|b", "c"], "pipe"),
        (["a, b", "user interface"], "comma"),
        (["a;b", "c"], "semicolon"),
        (["a\nb", "c"], "newline"),
        (['["a", "b"]', "[]"], "json"),
        (['[{"name": "a"}]', "[]"], "json"),
        (["['a', 'b']", '["it\'s"]'], "python"),
        (["{'a', 'b'}", "set()"], "python"),
        (['{"a b",c}', '{"d e"}'], "postgres"),
        (["[a, b]", "[user interface]"], "brackets"),
        (["#a #b", "#c"], "space"),
        (["a", "b", "", "[]"], "single"),
        ([*PAIRS, *TOPICS], "space"),
        (["machine learning", "deep learning", "sql server", "python"] * 10, "single"),
        (["Credit card", "Bank account", "Mortgage"] * 10, "single"),
        (["", "  ", "[]"], None),
    ],
)
def test_decided_notations(texts: list[str], notation: str | None) -> None:
    assert decide_notation(texts)[0] == notation


@pytest.mark.parametrize(
    "texts",
    [
        ["sql server", "python"],
        ["python list"] * 100,
        ["network problem", "printer problem", "network", "printer"] * 10,
        ["a,b", "c;d"],
        ["Printing, scanning", "Hardware", "Network"] * 30,
        ["R&amp;D", "Sales", "Finance"] * 30,
        ["'a', 'b'"],
        ["{a: b}", "{c"],
        ["[1.5, 2.5]"],
        ["[nan]"],
        ["[0. 1.]"],
    ],
)
def test_two_readings_are_refused(texts: list[str]) -> None:
    with pytest.raises(CellError, match=r"can be read in several ways; set tags_format to|in an unknown notation"):
        decide_notation(texts)


def test_a_row_of_a_second_table_is_one_tag() -> None:
    assert decide_notation(["python list", "sql"], one_a_row=True) == ("single", True)
    assert decide_notation(["['a', 'b']"], one_a_row=True)[0] == "python"
    with pytest.raises(CellError, match="several ways"):
        decide_notation(["a|b", "c|d"], one_a_row=True)


def test_exceptions_do_not_change_the_decision() -> None:
    assert decide_notation([*["a|b", "c", "b|d"] * 20, "{e}"])[0] == "pipe"
