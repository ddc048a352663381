"""The notation of a column: decided by all its first rows, or refused."""

import re

import pyarrow.parquet as pq
import pytest

from corpora.cells.notation_decision import decide_notation
from corpora.cells.tags import TagReader
from corpora.cells.value import CellError
from tests.paths import SHARED

TITLES = SHARED / "so" / "titles.parquet"
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


@pytest.mark.parametrize("text", ["None", "nan", "NULL"])
@pytest.mark.parametrize(("tags", "notation"), [("['a', 'b']", "python"), ('["a"]', "json"), ("<a><b>", "angle")])
def test_a_printed_missing_value_among_lists_is_no_tag(text: str, tags: str, notation: str) -> None:
    assert decide_notation([*[text] * 9, tags, tags])[0] == notation
    assert TagReader(notation=notation).read(text) == ()  # type: ignore[arg-type]


def test_the_tag_null_stays_one_where_tags_are_no_lists() -> None:
    notation, spaces = decide_notation(["null", "java", "NaN"])
    assert TagReader(notation, spaces=spaces).read("null") == ("null",)


TAGS = ["python", "java", "c#", "linux", "docker", "c++", "aws"]


@pytest.mark.parametrize("separator", ["/", "::", " & ", "^", " / ", " + "])
def test_a_separator_that_is_no_notation_is_asked_for(separator: str) -> None:
    texts = [*TAGS, *(f"{one}{separator}{two}" for one in TAGS for two in TAGS if one != two)]
    with pytest.raises(CellError, match=rf"set tags_separator to {re.escape(repr(separator))}, or"):
        decide_notation(texts * 2)


@pytest.mark.parametrize("label", ["area/{}", "type::{}", "{}/core", "kind+{}", "{}#"])
def test_signs_that_stand_in_names_of_labels_separate_nothing(label: str) -> None:
    assert decide_notation([*TAGS, *map(label.format, TAGS)] * 5)[0] == "single"


def test_angles_that_are_written_as_in_xml_are_angles() -> None:
    assert decide_notation(["&lt;c#&gt;&lt;r&amp;d&gt;", "&lt;java&gt;"])[0] == "angle"
    assert TagReader(notation="angle").read("&lt;c#&gt;&lt;r&amp;d&gt;") == ("c#", "r&d")


def test_exceptions_do_not_change_the_decision() -> None:
    assert decide_notation([*["a|b", "c", "b|d"] * 20, "{e}"])[0] == "pipe"


@pytest.mark.skipif(not TITLES.exists(), reason="needs ../shared/so/titles.parquet")
@pytest.mark.parametrize("separator", [" ", ", ", "|", ";", "\n"])
def test_real_tags_are_told_from_real_titles(separator: str) -> None:
    table = pq.read_table(TITLES, columns=["title", "tags"])
    names = {" ": "space", ", ": "comma", "|": "pipe", ";": "semicolon", "\n": "newline"}
    for start in range(0, 20_000, 4_000):
        tags = table["tags"][start : start + 1_000].to_pylist()
        assert decide_notation(map(separator.join, tags))[0] == names[separator]
    with pytest.raises(CellError, match="several ways"):
        decide_notation(title.replace(",", "") for title in table["title"][:1_000].to_pylist())


def test_names_of_two_words_are_not_taken_for_tags() -> None:
    models = [f"{brand} {model}" for brand in ("Dell", "HP", "Apple") for model in ("One", "Air", "Pro", "Max", "Mini")]
    with pytest.raises(CellError, match="several ways"):
        decide_notation([*models, "Dell", "HP", "Apple"] * 10)
