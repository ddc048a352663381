"""The dialect of a delimited file is decided once, said, and named where it cannot be decided."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from corpora.files.delimited import DelimitedFile, open_delimited
from corpora.files.dialect import DialectSettings
from corpora.files.rows import BadLines
from stackbert.core.errors import StackbertError

TITLES = ["How do I sort a list?", "What is a closure", "Import error since this morning", "Where are my rows"] * 9


def open_text(folder: Path, text: str | bytes, name: str = "table.csv", **settings: Any) -> DelimitedFile:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_delimited(path, DialectSettings(**settings))


def rows_of(file: DelimitedFile) -> list[Any]:
    return [values if isinstance(values, BadLines) else list(values.values()) for _, values in file.rows()]


def written(table: list[list[str]], **options: Any) -> str:
    target = io.StringIO(newline="")
    csv.writer(target, **options).writerows(table)
    return target.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_is_found_is_said(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [["id", "title"], *([f"{n}", f"Größe, „{t}“; a|b\tc"] for n, t in enumerate(TITLES))]
    file = open_text(tmp_path, written(rows, delimiter=delimiter).encode(encoding))
    names = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
    titles = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
    said = f'read as {names[delimiter]}-separated, quoted with ", {titles[encoding]}, 2 columns: id, title'
    assert str(file) == said
    assert rows_of(file) == rows[1:]


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_a_line_that_names_the_delimiter_is_obeyed(tmp_path: Path, line: str) -> None:
    file = open_text(tmp_path, line + "id;title,short\n1;a,b\n")
    assert list(file.rows()) == [(3, {"id": "1", "title,short": "a,b"})]


def test_quotes_of_a_tsv_are_text_where_they_do_not_enclose_fields(tmp_path: Path) -> None:
    titles = [*TITLES, '"Hello" world', '"never closed', 'closed"', 'say "hi"', '5" nails']
    file = open_text(tmp_path, "id\ttitle\n" + "".join(f"{n}\t{t}\n" for n, t in enumerate(titles)), "table.tsv")
    assert "quotes are text" in str(file)
    assert rows_of(file) == [[f"{n}", title] for n, title in enumerate(titles)]


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_quotes_of_a_tsv_enclose_fields_where_programs_set_them(tmp_path: Path, quoting: int) -> None:
    rows = [["id", "title"], *([f"{n}", title] for n, title in enumerate([*TITLES, 'say "hi"', "a\tb", "a\nb"]))]
    file = open_text(tmp_path, written(rows, delimiter="\t", quoting=quoting), "table.tsv")
    assert 'quoted with "' in str(file)
    assert rows_of(file) == rows[1:]


def test_quotes_that_may_be_both_must_be_named(tmp_path: Path) -> None:
    text = 'id\ttitle\n1\t"Hello"\n2\tgood bye\n'
    with pytest.raises(StackbertError, match=r"'title': .* 'Hello' or as '\"Hello\"'; name which: quote double or no"):
        open_text(tmp_path, text, "table.tsv")
    assert rows_of(open_text(tmp_path, text, "table.tsv", quote="none"))[0] == ["1", '"Hello"']
    assert rows_of(open_text(tmp_path, text, "table.tsv", quote="double"))[0] == ["1", "Hello"]
    assert rows_of(open_text(tmp_path, text.replace("\t", ",")))[0] == ["1", "Hello"]  # as CSV is written by hand


def test_quotes_that_begin_after_the_sample_are_still_decided(tmp_path: Path) -> None:
    plain = "".join(f"{n}\t{TITLES[n % 36]}\n" for n in range(60_000))
    file = open_text(tmp_path, "id\ttitle\n" + plain + '60000\t"Hello" world\n60001\t"open\n', "table.tsv")
    assert rows_of(file)[-2:] == [["60000", '"Hello" world'], ["60001", '"open']]


def test_backslashes_are_text_unless_they_escape(tmp_path: Path) -> None:
    rows = [["id", "title"], ["1", 'say "hi", \\o/'], ["2", "C:\\new"], ["3", 'print("a\\"b")']]
    assert rows_of(open_text(tmp_path, written(rows))) == rows[1:]
    escaped = written(rows, doublequote=False, escapechar="\\")
    assert "backslash escapes" in str(open_text(tmp_path, escaped))
    assert rows_of(open_text(tmp_path, escaped)) == rows[1:]
    doubtful = 'id,title\n1,"a, C:\\\\new"\n'
    with pytest.raises(StackbertError, match="name which: escape doubled or backslash"):
        open_text(tmp_path, doubtful)
    assert rows_of(open_text(tmp_path, doubtful, escape="backslash")) == [["1", "a, C:\\new"]]
    assert rows_of(open_text(tmp_path, doubtful, escape="doubled")) == [["1", "a, C:\\\\new"]]


def test_single_quotes_are_found_in_the_header_or_named(tmp_path: Path) -> None:
    assert rows_of(open_text(tmp_path, "'id','title'\n'1','it''s, so'\n")) == [["1", "it's, so"]]
    assert rows_of(open_text(tmp_path, "id,title\n1,'a, b'\n", quote="single")) == [["1", "a, b"]]
    assert rows_of(open_text(tmp_path, "id,title\n1,'tis\n2,rock 'n' roll\n")) == [
        ["1", "'tis"],
        ["2", "rock 'n' roll"],
    ]


def test_a_delimiter_that_is_not_clear_must_be_named(tmp_path: Path) -> None:
    text = "a;b,c\n1;2,3\n4;5,6\n"
    with pytest.raises(StackbertError, match="rows can be read with each of ',', ';'; name the delimiter"):
        open_text(tmp_path, text)
    assert rows_of(open_text(tmp_path, text, delimiter="semicolon")) == [["1", "2,3"], ["4", "5,6"]]
    assert rows_of(open_text(tmp_path, "a^b\n1^2\n", delimiter="^")) == [["1", "2"]]
    assert rows_of(open_text(tmp_path, "a\tb\n1\t2\n", delimiter=r"\t")) == [["1", "2"]]
    for wrong in ("", "colon", '"', "\n", ";;"):
        with pytest.raises(StackbertError, match="delimiter must be auto, comma, semicolon, tab, pipe"):
            DialectSettings(delimiter=wrong)


def test_other_delimiters_in_a_header_do_not_mislead(tmp_path: Path) -> None:
    assert rows_of(open_text(tmp_path, "id;title, short;tags|labels\n1;a;b\n2;c;d\n")) == [
        ["1", "a", "b"],
        ["2", "c", "d"],
    ]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("id, title ,body", ["id", "title", "body"]),
        ("id,,body", ["id", "body"]),
        ('"id","ti\ntle",body', ["id", "ti\ntle", "body"]),
        ("id,body,body", ["id", "body"]),
    ],
)
def test_names_of_a_header(tmp_path: Path, header: str, names: list[str]) -> None:
    (row,) = (values for _, values in open_text(tmp_path, f"{header}\n1,2,3\n").rows())
    assert isinstance(row, dict) and list(row) == names


def test_columns_of_the_same_name_are_one_with_a_list(tmp_path: Path) -> None:
    file = open_text(tmp_path, "Labels,Summary,Labels,Labels\na,x,b,c\n,y,b,\n,z,,\n")
    assert rows_of(file) == [[["a", "b", "c"], "x"], [["b"], "y"], [[], "z"]]


def test_a_delimiter_at_the_end_of_each_row_is_no_field(tmp_path: Path) -> None:
    rows = "".join(f"{n},{title},\n" for n, title in enumerate(TITLES))
    for header in ("id,title\n", "id,title,\n"):
        assert rows_of(open_text(tmp_path, header + rows))[1] == ["1", "What is a closure"]
    last = rows_of(open_text(tmp_path, "id,title\n" + rows + "99,a,b\n"))[-1]
    assert last == BadLines("3 fields, the header has 2", "99")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_lines_may_end_in_any_way(tmp_path: Path, end: str) -> None:
    lines = ["", "id,title", "1,a", "", '2,"b', 'c"', "  "]
    text = "\n".join(lines).replace("b\nc", "b c").replace("\n", end)
    assert rows_of(open_text(tmp_path, text)) == [["1", "a"], ["2", "b c"]]


def test_spaces_after_delimiters_may_stand_before_quotes(tmp_path: Path) -> None:
    assert rows_of(open_text(tmp_path, 'id, title\n1, "a, b"\n2, c\n')) == [["1", "a, b"], ["2", "c"]]
    assert rows_of(open_text(tmp_path, "id,title\n1, a\n")) == [["1", " a"]]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    assert rows_of(open_text(tmp_path, "text\nhello, world\nbye; all\n")) == [["hello, world"], ["bye; all"]]
    assert rows_of(open_text(tmp_path, 'text\n"hello, ""world"""\nbye\n')) == [['hello, "world"'], ["bye"]]


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "sep=;\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StackbertError, match="is empty; a table has a header and rows"):
        open_text(tmp_path, text)


def test_bytes_that_an_encoding_has_not_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match="name its encoding, or convert the file to UTF-8"):
        rows_of(open_text(tmp_path, "id,title\n1,a\n".encode("utf-16")[:-1]))


def test_a_header_within_a_file_is_a_bad_row(tmp_path: Path) -> None:
    text = "id,title\n1,title\n"
    found = rows_of(open_text(tmp_path, text + text + "\ufeff" + text))
    assert [row for row in found if isinstance(row, list)] == [["1", "title"]] * 3
    assert [row.detail for row in found if isinstance(row, BadLines)] == [
        "the header again, as in files that were put together"
    ] * 2
    assert rows_of(open_text(tmp_path, "title\na\ntitle\n")) == [["a"], ["title"]]


def test_a_stray_quote_at_the_beginning_does_not_make_text_of_the_quotes_that_follow(tmp_path: Path) -> None:
    plain = [f"{n},{TITLES[n % 36]}\n" for n in range(60_000)]
    plain[7] = plain[7].replace(",", ',"')
    quoted = '60000,"Hello, world"\n60001,"good bye"\n'
    found = rows_of(open_text(tmp_path, "id,title\n" + "".join(plain) + quoted))
    assert found[-2:] == [["60000", "Hello, world"], ["60001", "good bye"]]
    assert [number for number, row in enumerate(found) if isinstance(row, BadLines)] == [7]
    assert len(found) == 60_002


@pytest.mark.parametrize("text", [r"C:\new\table", r"a regex \d+\w", r"'It\'s' in code", r"ends with \ alone"])
def test_a_backslash_that_escapes_nothing_is_text_beside_escaped_quotes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "spark.csv"  # Spark escapes quotes alone
    path.write_text("id,body\n" + "".join(f'{n},"{text}, and \\"{n}\\" more"\n' for n in range(30)))
    assert [values["body"] for _, values in open_delimited(path).rows()] == [
        f'{text}, and "{n}" more' for n in range(30)
    ]


@pytest.mark.parametrize(("delimiter", "quote"), [(",", '"'), ("\t", ""), (";", "")])
def test_the_null_of_mysql_and_postgres_is_an_empty_field(tmp_path: Path, delimiter: str, quote: str) -> None:
    path = tmp_path / "export.csv"
    rows = [["id", "body", "tags"], ["1", f"{quote}a text{quote}", r"\N"], ["2", r"\N", f"{quote}java{quote}"]]
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    assert [values for _, values in open_delimited(path).rows()] == [
        {"id": "1", "body": "a text", "tags": ""},
        {"id": "2", "body": "", "tags": "java"},
    ]


def test_nulls_of_mysql_beside_escaped_backslashes_ask_for_the_escape(tmp_path: Path) -> None:
    path = tmp_path / "export.tsv"
    path.write_text("id\tbody\ttags\n" + "".join(f"{n}\tC:\\\\new {n}\t\\N\n" for n in range(30)))
    with pytest.raises(StackbertError, match="name which: escape doubled or backslash"):
        open_delimited(path)
    named = open_delimited(path, DialectSettings(escape="backslash"))
    assert next(values["body"] for _, values in named.rows()) == r"C:\new 0"
