"""Columns are decided, or refused with a sample, before anything is built."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.build.build import build_corpus
from corpora.cells.columns import examine
from corpora.config import CorpusConfig
from corpora.post import Post, read_posts
from stackbert.core.errors import StackbertError
from tests.paths import SHARED

FIELD = SHARED / "field"
FIELDS: dict[str, Any] = {f"{name}_column": name for name in ("id", "title", "body", "tags")}
TEXT = "A body that is long enough to be kept, of post {}"

needs_field = pytest.mark.skipif(not FIELD.is_dir(), reason="needs ../shared/field")


def build(path: Path, out: Path, **options: Any) -> list[Post]:
    fields = {"source": "table", "path": str(path), "processes": 1} | FIELDS | options
    build_corpus(out, CorpusConfig(**fields))
    return list(read_posts(out))


def write(path: Path, **columns: list[Any]) -> Path:
    rows = len(next(iter(columns.values())))
    filled = {"id": list(range(rows)), "title": [f"Title {row}" for row in range(rows)]}
    filled["body"] = [TEXT.format(row) for row in range(rows)]
    pq.write_table(pa.table({name: pa.array(values) for name, values in (filled | columns).items()}), path)
    return path


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"title": [{"en": "a"}, {"en": "b"}]}, "column 'title' for title_column holds an object, such as {'en': 'a'}"),
        ({"title": [3, 4]}, "column 'title' for title_column holds whole numbers only, such as 3"),
        ({"body": [["a", "b"], ["c", "d"]]}, "column 'body' for body_column holds a list"),
        ({"id": [1.5, 2.5]}, "column 'id' for id_column holds a decimal number, such as 1.5"),
        ({"id": [True, False]}, "column 'id' for id_column holds true or false"),
        ({"id": ["1.23457E+18", "1.23458E+18"]}, "column 'id' for id_column holds 1.23457E.18, a number that has lost"),
        ({"tags": [[0, 1, 0], [1, 1, 0]]}, "column 'tags' for tags_column holds .0, 1, 0., where numbers repeat"),
        ({"tags": ["sql server", "java"]}, "set tags_format to single"),
        ({"tags": ["2.0", ""]}, "holds no tag but '2.0', a text or a number of a class; set tags_format to single"),
    ],
)
def test_a_column_that_cannot_be_read_is_refused_and_leaves_nothing(
    tmp_path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    path = write(tmp_path / "table.parquet", **({"tags": [["a"], ["b"]]} | columns))
    with pytest.raises(StackbertError, match=message):
        build(path, tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["table.parquet"]


def test_a_value_that_is_an_exception_is_a_bad_row_with_its_column() -> None:
    rows: list[dict[str, Any]] = [{"id": number, "title": "a", "body": "b", "tags": []} for number in range(100)]
    rows[7]["title"] = {"en": "a"}
    fields = FIELDS | {"source": "table", "path": "x.jsonl"}
    assert examine("x.jsonl", rows, CorpusConfig(**fields)).notes == ("tags: read as lists",)


def test_ids_that_pandas_wrote_with_a_gap_are_whole_numbers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [11, None, 13], "title": "a", "body": [TEXT.format(n) for n in range(3)], "tags": "c"})
    frame.to_csv(tmp_path / "table.csv", index=False)
    posts = build(tmp_path / "table.csv", tmp_path / "out")
    assert [posts[0].id, posts[2].id] == ["11", "13"] and posts[1].id.startswith("content-")


def test_versions_as_ids_keep_their_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "table.parquet", id=["1.0", "1.1"], tags=[["a"], ["b"]])
    assert [post.id for post in build(path, tmp_path / "out")] == ["1.0", "1.1"]


def test_tags_that_begin_after_a_thousand_rows_are_seen(tmp_path: Path) -> None:
    tags = [""] * 1_500 + ["a|b", "b|c"] * 100
    posts = build(write(tmp_path / "table.parquet", tags=tags), tmp_path / "out")
    assert posts[-1].tags == ("b", "c") and posts[0].tags == ()


def test_a_row_in_another_notation_stops_the_build_with_its_number(tmp_path: Path) -> None:
    tags = ["a|b", "b|c"] * 100 + ["{a,b}"]
    with pytest.raises(StackbertError, match=r"row 201: column 'tags' for tags_column holds '{a,b}', which is not"):
        build(write(tmp_path / "table.parquet", tags=tags), tmp_path / "out")


def test_a_separator_of_tags_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "table.parquet", tags=["sql server / c++", "c++", "", " / "])
    posts = build(path, tmp_path / "out", tags_separator="/")
    assert [post.tags for post in posts] == [("sql server", "c++"), ("c++",), (), ()]


def test_a_list_is_no_tag_where_a_separator_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "table.parquet", tags=["a/b"] * 20 + ["['a', 'b']"])
    with pytest.raises(StackbertError, match=r"row 21: column 'tags' for tags_column holds .* not separated by '/'"):
        build(path, tmp_path / "out", tags_separator="/")


def test_separator_and_format_exclude_each_other() -> None:
    with pytest.raises(StackbertError, match="tags_separator and tags_format: set one of them"):
        CorpusConfig(tags_separator="/", tags_format="comma")


def test_tags_in_lower_case_and_their_synonyms(tmp_path: Path) -> None:
    (tmp_path / "synonyms.csv").write_text("source,target\nJS,JavaScript\n")
    path = write(tmp_path / "table.parquet", tags=[["Python", "python"], ["js", "CSS"]])
    options = {"tags_case": "lower", "tag_synonyms": str(tmp_path / "synonyms.csv")}
    assert [post.tags for post in build(path, tmp_path / "out", **options)] == [("python",), ("javascript", "css")]


NAMES = {"python", "machine learning", "networking", "sql", "data export", "user interface"}
LABELS = {"id_column": "number", "tags_column": "labels"}


@needs_field
@pytest.mark.parametrize(
    ("name", "options", "tags"),
    [
        ("github_label_objects/issues.jsonl", LABELS, NAMES),
        ("github_label_objects/issues.parquet", LABELS, NAMES),
        ("parquet_binary_strings/posts.parquet", {}, NAMES),
        ("parquet_class_ids/p.parquet", {}, set("01234")),
        ("tag_case/t.csv", {"tags_case": "lower"}, {name.replace(" ", "-") for name in NAMES}),
        *((f"tag_list_notations/{name}.csv", {}, NAMES) for name in ("bare_list", "json_objects", "numpy", "postgres")),
        ("tag_list_notations/pylist.csv", {}, NAMES),
    ],
)
def test_real_exports_give_the_tags_that_were_meant(
    tmp_path: Path, name: str, options: dict[str, Any], tags: set[str]
) -> None:
    posts = build(FIELD / name, tmp_path / "out", **options)
    assert {tag for post in posts for tag in post.tags} == tags
    assert all(post.tags and not post.title.startswith("b'") for post in posts)
