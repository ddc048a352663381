"""Tags in each notation and of each type, read by the decision for their column."""

from typing import Any

import pytest

from corpora.cells.tag_notations import LISTS, is_list_like
from corpora.cells.tags import TagReader
from corpora.cells.value import CellError
from corpora.config import TagsFormat

BOTH = ("sql server", "c#")


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        ("angle", "<sql server><c#>"),
        ("angle", "<sql server>, <c#>"),
        ("pipe", "sql server|c#"),
        ("pipe", "|sql server|c#|"),
        ("comma", "sql server, c#,"),
        ("semicolon", "sql server;c#;sql server"),
        ("newline", "sql server\nc#\n"),
        ("json", '["sql server", "c#", null]'),
        ("python", "['sql server', 'c#']"),
        ("python", "('sql server', \"c#\")"),
        ("python", "['sql server' 'c#']"),
        ("python", "['sql server'\n 'c#']"),
        ("python", "array(['sql server', 'c#'], dtype=object)"),
        ("python", "[np.str_('sql server'), np.str_('c#')]"),
        ("postgres", '{"sql server",c#,NULL}'),
        ("brackets", "[sql server, c#]"),
    ],
)
def test_every_notation_gives_the_same_tags(notation: TagsFormat, text: str) -> None:
    assert TagReader(notation).read(text) == TagReader(notation).read(text.encode()) == BOTH


def test_spaces_separate_or_stand_in_a_tag() -> None:
    assert TagReader("space").read("sql server") == ("sql", "server")
    assert TagReader("single").read("sql server") == ("sql server",)


@pytest.mark.parametrize("notation", [*LISTS, "pipe", "comma", "single", "space"])
@pytest.mark.parametrize("value", [None, "", "  ", float("nan"), [], "[]", "{}", "<>", "||", "()"])
def test_missing_values_and_empty_lists_give_no_tags(notation: TagsFormat, value: Any) -> None:
    assert TagReader(notation).read(value) == ()


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        ("angle", "<a><b"),
        ("angle", "a, b"),
        ("json", "['a', 'b']"),
        ("json", '["a", "b"'),
        ("json", "[2.0]"),
        ("python", "['a', b]"),
        ("python", "[1.5]"),
        ("postgres", '{"a}'),
        ("postgres", "{a,}"),
        ("postgres", "{{a},{b}}"),
        ("brackets", "['a', 'b']"),
        ("comma", "a|b"),
        ("comma", "{a,b}"),
        ("pipe", "a;b"),
        ("pipe", "[a|b]"),
        ("single", "a, b"),
        ("single", "['a'"),
    ],
)
def test_a_text_in_another_notation_is_refused(notation: TagsFormat, text: str) -> None:
    with pytest.raises(CellError, match="not written as in the first rows"):
        TagReader(notation).read(text)


def test_a_named_notation_is_not_doubted_but_a_list_in_it_is() -> None:
    assert TagReader("comma", named=True).read("a|b, c;d") == ("a|b", "c;d")
    assert TagReader("single", named=True).read("[a, b]") == ("[a, b]",)
    with pytest.raises(CellError, match="not written as tags_format says"):
        TagReader("comma", named=True).read("{a,b}")


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ([" sql server", "c#", None, "", "c#"], BOTH),
        ([b"sql server", b"c#"], BOTH),
        ([{"name": "sql server", "id": 3}, {"name": "c#"}], BOTH),
        ({"name": "c#"}, ("c#",)),
        (3, ("3",)),
        (3.0, ("3",)),
        ([3, 0], ("3", "0")),
        (True, ("true",)),
    ],
)
def test_lists_objects_and_numbers_of_classes(value: Any, tags: tuple[str, ...]) -> None:
    assert TagReader(key="name").read(value) == tags


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([0, 1, 0], "numbers repeat"),
        ([0.0, 1.0, 1.0], "numbers repeat"),
        (1.5, "a decimal number"),
        ([["a"]], "a list as a tag"),
        ([("a", "b")], "a list as a tag"),
        ([{"id": 3}], "an object without 'name'"),
        ([{"name": 3}], "an object without 'name'"),
        ("c#", "the first rows have none"),
    ],
)
def test_what_names_no_tag_is_refused(value: Any, fault: str) -> None:
    with pytest.raises(CellError, match=fault):
        TagReader(key="name").read(value)


def test_numbers_are_named_where_the_file_names_the_classes() -> None:
    reader = TagReader(classes=("bug", "question"))
    assert reader.read(1) == ("question",) and reader.read([0, 1]) == ("bug", "question") and reader.read(-1) == ()
    with pytest.raises(CellError, match="the class 2, of 2"):
        reader.read(2)


def test_one_number_a_class_in_a_text_is_refused() -> None:
    for notation, text in (("json", "[0, 1, 0]"), ("python", "[0 1 0]"), ("postgres", "{0,1,0}")):
        with pytest.raises(CellError, match="numbers repeat"):
            TagReader(notation).read(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["c#", ".net", "f(x)", "it's", "(old)", "5' tall", "C++"])
def test_plain_tags_are_not_taken_for_lists(text: str) -> None:
    assert not is_list_like(text)


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000, "['" + "a' '" * 50_000, "<a>" + " " * 100_000 + "x"])
def test_long_broken_lists_are_refused_in_little_time(text: str) -> None:
    for parse in LISTS.values():
        assert parse(text) is None
