"""JSON tables of each form: lines, lists, lists in an object, objects one after another."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from corpora.files import json_values
from corpora.sources.source import Dropped
from corpora.tables.files import table_rows
from stackbert.core.errors import StackbertError

ROWS: list[dict[str, Any]] = [
    {"id": 1, "title": "a", "labels": [{"name": "bug"}, {"name": "ui"}], "score": None},
    {"id": 2, "title": 'b "c"\n', "labels": [], "score": 1.5},
    {"id": 3, "title": "é", "labels": [{"name": "bug"}], "score": 2},
]


def read(folder: Path, content: str | bytes, name: str = "t.json") -> list[Any]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [values for _, values in table_rows(path)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "content",
    [
        "\n".join(map(json.dumps, ROWS)),
        "".join(map(json.dumps, ROWS)),
        "\n".join(json.dumps(row, indent=4) for row in ROWS),
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        json.dumps({"total": 3, "issues": ROWS, "names": ["x"]}),
        json.dumps({"page": {"size": 3}, "data": ROWS, "errors": []}, indent=1),
    ],
    ids=["lines", "one line", "over lines", "list", "list over lines", "in an object", "in an object over lines"],
)
def test_each_form_gives_the_same_rows(tmp_path: Path, content: str, encoding: str) -> None:
    assert read(tmp_path, content.encode(encoding)) == ROWS


def test_an_object_alone_is_a_row_even_with_a_list_of_one_object(tmp_path: Path) -> None:
    for row in ROWS[1:]:
        assert read(tmp_path, json.dumps(row)) == [row]
        assert read(tmp_path, json.dumps(row, indent=1)) == [row]


def test_a_list_in_an_object_that_does_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "MAX_VALUE", 5_000)
    monkeypatch.setattr("corpora.tables.json_rows.BLOCK_CHARACTERS", 1_000)
    monkeypatch.setattr(json_values, "BLOCK_CHARACTERS", 1_000)
    assert read(tmp_path, json.dumps({"meta": {"a": [1]}, "issues": ROWS * 200, "n": 1})) == ROWS * 200
    assert read(tmp_path, json.dumps(ROWS * 200)) == ROWS * 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps({"a": ROWS, "b": ROWS}), r"with several lists: a, b; write the rows: jq -c '.a\[\]'"),
        (pd.DataFrame(ROWS[1:]).drop(columns="labels").to_json(), "holds a table by columns, as pandas writes it"),
        (pd.DataFrame(ROWS).to_json(), "holds a table by columns, as pandas writes it"),
        (
            pd.DataFrame(ROWS).to_json(orient="index"),
            r"holds rows by their numbers, .*; write the rows: jq -c '\.\[\]'",
        ),
        (pd.DataFrame(ROWS).to_json(orient="split"), "holds a table by columns, as pandas writes it"),
        (json.dumps(ROWS)[:-20], "line 1: is not JSON"),
        (json.dumps(ROWS, indent=1)[:-20], "line 21: is not JSON"),
        (json.dumps(ROWS) + json.dumps(ROWS), "text after the list"),
        ("", "is empty; a table has rows"),
    ],
)
def test_what_is_no_list_of_rows_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(StackbertError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("line", ['{"id": 1, "title": "a', "nonsense", "[1, 2]", "3", "{" * 5, "[" * 100_000])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_bad_line_is_a_bad_row_wherever_it_stands(tmp_path: Path, line: str, at: int) -> None:
    if at == 0 and line.startswith("["):
        return  # a file that begins so is a list
    lines = list(map(json.dumps, ROWS))
    lines.insert(at, line)
    found = read(tmp_path, "\n".join(lines), "t.jsonl")
    assert [row for row in found if isinstance(row, dict)] == ROWS
    (bad,) = (row for row in found if isinstance(row, Dropped))
    assert bad.where == f"line {at + 1}"


def test_elements_of_a_list_that_are_no_objects_are_bad_rows(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps([ROWS[0], [1, 2], "text", None]))
    assert found[0] == ROWS[0]
    assert [row.detail for row in found[1:]] == ["not a JSON object"] * 3
