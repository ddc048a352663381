"""Each kind of table gives the same posts."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from corpora.config import CorpusConfig
from corpora.post import Post
from corpora.sources.source import Dropped
from corpora.tables.arrow_rows import hub_address
from corpora.tables.table import table_source
from stackbert.core.errors import StackbertError
from tests.corpora.outcomes import Made, made_of

ROWS: list[dict[str, Any]] = [
    {
        "nr": 11,
        "head": "How do I sort a list?",
        "html": "<p>I have a list,\nof numbers.</p>\n",
        "tags": ["python", "list"],
    },
    {"nr": 12, "head": "What is a closure?", "html": "I read about <div>, and more.", "tags": ["c#"]},
]
COLUMNS = {"id_column": "nr", "title_column": "head", "body_column": "html", "tags_column": "tags"}


def outcomes(path: Path, **options: Any) -> list[Made]:
    fields: dict[str, Any] = {"source": "table", "path": str(path)} | COLUMNS | options
    config = CorpusConfig(**fields)
    return made_of(table_source(path, config), config)


def posts(path: Path, **options: Any) -> list[Post]:
    found = outcomes(path, **options)
    assert all(isinstance(post, Post) for post in found), found
    return [post for post in found if isinstance(post, Post)]


def write(path: Path, kind: str) -> Path:
    frame = pd.DataFrame(ROWS)
    file = path / f"table.{kind}"
    if kind == "parquet":
        frame.to_parquet(file)
    elif kind == "jsonl":
        file.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    else:
        frame["tags"] = frame["tags"].map(lambda tags: "".join(f"<{tag}>" for tag in tags))
        frame.to_csv(file, index=False, sep="\t" if kind == "tsv" else ",")
    return file


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_posts(tmp_path: Path, kind: str) -> None:
    assert posts(write(tmp_path, kind)) == [
        Post("11", "question", "How do I sort a list?", "I have a list, of numbers.", ("python", "list")),
        Post("12", "question", "What is a closure?", "I read about <div>, and more.", ("c#",)),
    ]


def test_folders_of_parquet_and_of_saved_data_sets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    single = posts(write(tmp_path, "parquet"))
    assert posts(tmp_path) == single
    saved = datasets.Dataset.from_pandas(pd.DataFrame(ROWS))
    saved.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": saved, "test": saved}).save_to_disk(str(tmp_path / "two"))
    assert posts(tmp_path / "one") == single
    assert posts(tmp_path / "two") == single + single


def test_a_named_column_that_is_missing_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        StackbertError, match="no column 'headd' for title_column; nearest is 'head'; the columns are: nr"
    ):
        outcomes(write(tmp_path, "csv"), title_column="headd")


def test_a_column_within_an_object_is_told(tmp_path: Path) -> None:
    path = tmp_path / "issues.json"
    path.write_text(
        json.dumps({"issues": [{"key": f"A-{n}", "fields": {"summary": "s", "labels": []}} for n in (1, 2)]})
    )
    with pytest.raises(StackbertError, match=r"no column 'summary' .*; 'fields' holds an object with it: write its"):
        posts(path, id_column="key", title_column="summary", body_column=None, tags_column=None)


def test_line_breaks_that_an_export_escaped_are_told(tmp_path: Path) -> None:
    for end, is_told in ((r"\n", True), (" ", False), (r"\n" + "\n", False)):
        path = tmp_path / "table.jsonl"
        path.write_text("".join(json.dumps({"html": f"line one{end}line {n}"}) + "\n" for n in range(9)))
        config = CorpusConfig(source="table", path=str(path), body_column="html")
        assert any("two characters" in note for note in table_source(path, config).notes) == is_told


def test_a_table_needs_a_text_column() -> None:
    with pytest.raises(StackbertError, match="title_column or body_column"):
        CorpusConfig(source="table", path="x.csv", tags_column="tags")


def test_missing_ids_are_made_from_the_content(tmp_path: Path) -> None:
    file = tmp_path / "gaps.parquet"
    pd.DataFrame(ROWS).assign(nr=[11, None]).to_parquet(file)  # pandas makes floats of them
    first, second = posts(file)
    assert first.id == "11"
    assert second.id.startswith("content-")
    assert second.id == posts(file, id_column=None)[1].id


@pytest.mark.parametrize("line", ['{"head": "cut', "[1, 2]", "nonsense", "[" * 100_000])
def test_a_bad_json_line_is_a_bad_row_with_its_number(tmp_path: Path, line: str) -> None:
    file = write(tmp_path, "jsonl")
    file.write_text(f"{json.dumps(ROWS[0])}\n{line}\n{json.dumps(ROWS[1])}\n")
    first, bad, second = outcomes(file)
    assert isinstance(first, Post) and isinstance(second, Post)
    assert isinstance(bad, Dropped) and (bad.reason, bad.where) == ("bad_row", "line 2")
    assert bad.excerpt.startswith(line[:10])


def test_bad_csv_rows_have_their_number(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    good = b'1,"A title that is, long enough",body of it,a\n'
    file.write_bytes(b"nr,head,html,tags\n" + good + b"2,too few\n" + b"3,\xff\xfe broken,bytes of it,b\n" + good)
    assert [outcome.where for outcome in outcomes(file) if isinstance(outcome, Dropped)] == ["line 3", "line 4"]
    assert [outcome.id for outcome in outcomes(file) if isinstance(outcome, Post)] == ["1", "1"]


def test_an_unclosed_quote_costs_no_more_than_a_field(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    good = '1,"A title that is, long enough",body of it,a\n'
    file.write_text("nr,head,html,tags\n" + good + '2,"' + "x" * 5_000_000 + "\n" + good)
    found = outcomes(file)
    assert [isinstance(outcome, Dropped) for outcome in found] == [False, True, False]


def test_lone_surrogates_do_not_stop_the_reading(tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    file.write_text(json.dumps(ROWS[0] | {"head": "A broken emoji \ud83d in a title"}))
    (post,) = posts(file)
    assert post.title == "A broken emoji \ufffd in a title"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.xlsx", "files are read, not '.xlsx'; save the sheet as 'CSV UTF-8'"),
        ("bad.parquet", "cannot be read as Parquet"),
        ("folder", "is a folder without .*; name the file in it"),
    ],
)
def test_what_is_no_table_is_refused_with_advice(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_text("nonsense")
    with pytest.raises(StackbertError, match=message):
        outcomes(path)


def test_hub_addresses() -> None:
    assert hub_address("hub:owner/name@3f2a:train") == ("owner/name", "3f2a", "train")
    assert hub_address("hub:owner/name@3f2a") == ("owner/name", "3f2a", None)
    with pytest.raises(StackbertError, match="is written hub:"):
        hub_address("hub:a:b:c:d")
