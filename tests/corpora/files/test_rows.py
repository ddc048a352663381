"""Lines become rows; a quote that is not closed never swallows rows, and long texts in quotes are read."""

import csv
import io
from collections.abc import Callable, Sequence

import pytest

from corpora.files import rows as module
from corpora.files.dialect import Dialect
from corpora.files.rows import BadLines, RowReader, bounded_lines
from corpora.files.shape import RowShape

CODE = [
    "rows = [\n    (1, 'a', \"x\"),\n    (2, 'b', \"y\"),\n]\nprint(rows[0], rows[1])\n",
    'Here is my file:\n1,a title,"x, y",z\n2,b title,"x""y",z\nwhy, does, it, fail?',
    '{\n  "id": 1,\n  "tags": ["a", "b"],\n  "title": "c"\n}',
    "a,b,c\n1,2,3\n" * 20,
    '"\n""\n"""',
]


def lines_of(table: Sequence[Sequence[str]], **options: str) -> list[str]:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n", **options).writerows(table)  # type: ignore[arg-type]
    return target.getvalue().splitlines(keepends=True)


def table(count: int = 300) -> list[list[str]]:
    return [[f"{n}", f"question {n} about sockets", f"the body of case {n}, here", "python"] for n in range(count)]


def read(lines: Sequence[str], shape: RowShape | None = None) -> tuple[list[list[str]], dict[int, str]]:
    """The rows, and the fault of each bad line by its number."""
    reader = RowReader(iter(lines), Dialect(), 4, shape or RowShape.of(table()))
    good, bad = list[list[str]](), dict[int, str]()
    for number, found in reader.rows():
        if isinstance(found, BadLines):
            bad[number] = found.detail
        else:
            good.append(found)
    return good, bad


def test_rows_have_the_number_of_the_line_where_they_begin() -> None:
    lines = ["1,a,b,c\n", '2,"x\n', 'y",b,c\n', "\n", "3,a,b,c\n"]
    reader = RowReader(iter(lines), Dialect(), 4)
    assert list(reader.rows()) == [(1, ["1", "a", "b", "c"]), (2, ["2", "x\ny", "b", "c"]), (5, ["3", "a", "b", "c"])]


@pytest.mark.parametrize("body", CODE, ids=range(len(CODE)))
@pytest.mark.parametrize("at", [1, 2, 3])
def test_code_with_delimiters_and_quotes_is_a_field(body: str, at: int) -> None:
    rows = [[*row[:at], body, *row[at + 1 :]] for row in table(40)]
    assert read(lines_of(rows)) == (rows, {})


def open_field(line: str) -> str:
    return line.replace(",question", ',"question')


def close_field(line: str) -> str:
    return line.replace("sockets,", 'sockets",')


@pytest.mark.parametrize("distance", [1, 2, 10, 150])
def test_a_quote_that_is_closed_in_a_later_row_costs_two_rows(distance: int) -> None:
    rows = [[value.replace(",", "") for value in row] for row in table()]
    lines = lines_of(rows)
    lines[100] = open_field(lines[100])
    lines[100 + distance] = close_field(lines[100 + distance])
    good, bad = read(lines, RowShape.of(rows))
    assert list(bad) == [101, 101 + distance]  # the second is in doubt, and looks like no other row
    assert good == [row for number, row in enumerate(rows) if number not in (100, 100 + distance)]
    assert "look like rows: a quote is not closed" in bad[101]


@pytest.mark.parametrize("at", [5, 150, 298])
@pytest.mark.parametrize("damage", [open_field, lambda line: line.replace(",python", ',"python')])
def test_a_quote_that_is_never_closed_costs_one_row(at: int, damage: Callable[[str], str]) -> None:
    lines = lines_of(table())
    lines[at] = damage(lines[at])
    good, bad = read(lines)
    assert good == table()[:at] + table()[at + 1 :]
    assert list(bad) == [at + 1]


def test_after_a_quote_within_a_text_of_several_lines_its_other_lines_are_no_rows() -> None:
    rows = table()
    rows[100][2] = "He said\nfoo, bar, baz\n7, a, b, c\nand left"
    lines = lines_of(rows)
    lines[100] = lines[100].replace("He said", 'He "said" it')
    good, bad = read(lines)
    assert set(bad) <= {101, 102, 103, 104}
    assert good == rows[:100] + rows[101:]


def test_without_a_telling_column_the_lines_in_doubt_are_bad() -> None:
    lines = [f"a{'b c' * n},d, e\n" for n in range(30)]
    lines[3] = lines[3].replace(",d", ',"d')
    reader = RowReader(iter(lines), Dialect(), 3, RowShape())
    found = [isinstance(found, BadLines) for _, found in reader.rows()]
    assert found == [False] * 3 + [True] * 27


def test_carriage_returns_within_rows_are_text() -> None:
    lines = ["1,a\rb,c,d\n", "2,\r\r x,c,d\r\n", '3,"a\r\nb",c,d\n', "4,a,b,c\n"]
    good, bad = read(lines)
    assert good == [["1", "a\rb", "c", "d"], ["2", "\r\r x", "c", "d"], ["3", "a\r\nb", "c", "d"], ["4", "a", "b", "c"]]
    assert not bad


def test_a_line_above_the_limit_is_a_bad_line_and_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 1_000)
    text = "1,a,b,c\n2," + "x," * 5_000 + "\n" + "3,a,b,c\n4," + "y" * 998 + ",b,c\n5,a,b,c\n"
    lines = list(bounded_lines(io.StringIO(text, newline="\n"), "table.csv"))
    assert max(map(len, lines)) == 1_000
    good, bad = read(lines)
    assert [row[0] for row in good] == ["1", "3", "5"]
    assert list(bad) == [2, 4]
