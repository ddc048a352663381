"""Files of each kind, packed or not, and folders of one kind; anything else is refused with advice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from corpora.files.dialect import DialectSettings
from corpora.sources.source import Dropped
from corpora.tables.files import table_rows
from stackbert.core.errors import StackbertError
from tests.corpora.tables.made_tables import PACKERS

ROWS = [{"id": f"{number}", "title": f"title {number}", "tags": "a|b"} for number in range(30)]


def csv_text(rows: list[dict[str, str]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(line) + "\n" for line in (rows[0], *(row.values() for row in rows)))


TEXTS = {"t.csv": csv_text(ROWS), "t.TSV": csv_text(ROWS, "\t"), "t.json": json.dumps(ROWS)}


def fill(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def values(path: Path, **named: Any) -> list[dict[str, Any]]:
    found = [values for _, values in table_rows(path, **named)]
    assert not any(isinstance(row, Dropped) for row in found), found
    return [row for row in found if isinstance(row, dict)]


PACKED = [(name, text, *each) for name, text in TEXTS.items() for each in PACKERS.items() if "zip" not in each[0]]


@pytest.mark.parametrize(("name", "text", "ending", "pack"), [*PACKED, ("t", TEXTS["t.csv"], ".zip", PACKERS[".zip"])])
def test_packed_tables(tmp_path: Path, name: str, text: str, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / (name + ending.upper())
    path.write_bytes(pack(text.encode()))
    assert values(path) == ROWS


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet", "CSV"])
def test_a_folder_of_files_of_one_kind_is_read_in_the_order_of_their_names(
    tmp_path: Path, kind: str, count: int
) -> None:
    for part in range(count):
        rows = ROWS[part * 10 : part * 10 + 10]
        path = tmp_path / f"part-{part:05d}.{kind}"
        if kind == "parquet":
            pd.DataFrame(rows).to_parquet(path)
        elif "json" in kind:
            path.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
        else:
            path.write_text(csv_text(rows, "\t" if kind == "tsv" else ","))
    assert values(tmp_path) == ROWS[: 10 * count]
    assert next(table_rows(tmp_path))[0].startswith("part-00000.")


def test_files_of_a_folder_are_announced_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"{number}.csv": csv_text(ROWS) for number in range(5)} | {"6.csv": csv_text(ROWS, ";")}
    folder = fill(tmp_path / "shards", files | {"README.txt": "", "_SUCCESS": "", ".crc": "", "7.csv": ""})
    assert len(values(folder)) == 180
    assert capsys.readouterr().err.replace(str(tmp_path), "").splitlines() == [
        "/shards: 6 files are read; left out, as empty or no table: 7.csv, README.txt",
        '/shards: read as comma-separated, quoted with ", UTF-8, 3 columns: id, title, tags',
        '/shards: read as semicolon-separated, quoted with ", UTF-8, 3 columns: id, title, tags',
    ]


@pytest.mark.parametrize("other", ["id;name\n1;b\n", "title,name\n1,b\n"])
def test_a_file_of_a_folder_without_a_named_column_is_told(tmp_path: Path, other: str) -> None:
    folder = fill(tmp_path / "shards", {"a.csv": csv_text(ROWS), "b.csv": other, "c.csv": csv_text(ROWS)})
    with pytest.raises(
        StackbertError, match=r"b\.csv: has no column '(title|id)', which each file of the folder needs"
    ):
        values(folder, columns=["id", "title"])
    fill(folder, {"b.csv": "title,id,more\nx,1,y\n"})  # another order, and columns that nobody named
    assert len(values(folder, columns=["id", "title"])) == 61


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": "id\n1\n", "b.jsonl": "{}\n"}, r"holds files of different kinds \(1 .csv, 1 .jsonl\)"),
        ({"a.txt": "id\n1\n"}, "is a folder without a table .* name the file in it"),
        ({"a.csv": ""}, "is a folder without a table"),
        ({}, "is a folder without a table"),
    ],
)
def test_folders_that_are_no_table_are_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(StackbertError, match=message):
        values(fill(tmp_path / "shards", files))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("x.xlsx", "not '.xlsx'; save the sheet as 'CSV UTF-8'"),
        ("x.txt", "let the name of a table in it end in .csv or .tsv"),
        ("Posts.xml", "is read with source 'dump'"),
        ("x.tar.gz", "unpack it and name the file inside"),
        ("x.parquet.gz", "is packed Parquet; unpack it"),
        ("table", "let its name end in what it is"),
    ],
)
def test_files_that_are_no_table_are_refused_with_advice(tmp_path: Path, name: str, advice: str) -> None:
    with pytest.raises(StackbertError, match=advice):
        values(fill(tmp_path, {name: "nonsense"}) / name)


def test_a_named_dialect_holds_for_each_file_of_a_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "shards", dict.fromkeys(("a.csv", "b.csv"), "id^title\n1^a,b\n"))
    assert values(folder, settings=DialectSettings(delimiter="^")) == [{"id": "1", "title": "a,b"}] * 2
