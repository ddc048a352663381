"""Names of numbered classes in the files of Hugging Face data sets."""

from pathlib import Path
from typing import Any

import pytest

from corpora.config import CorpusConfig
from corpora.sources.source import Stream
from corpora.tables.class_names import class_names
from corpora.tables.table import table_source

NAMES = ("bug", "user interface", "idea")


@pytest.mark.parametrize("kind", ["parquet", "folder", "saved", "splits"])
@pytest.mark.parametrize("is_list", [False, True])
def test_numbers_become_the_names_that_the_data_set_has(tmp_path: Path, kind: str, is_list: bool) -> None:
    datasets = pytest.importorskip("datasets")
    label: Any = datasets.ClassLabel(names=list(NAMES))
    features = datasets.Features(
        {"title": datasets.Value("string"), "tags": datasets.List(label) if is_list else label}
    )
    values = [[0, 2], [1], []] if is_list else [2, 1, -1]
    made = datasets.Dataset.from_dict({"title": ["a", "b", "c"], "tags": values}, features=features)
    path = tmp_path / ("table.parquet" if kind == "parquet" else "folder")
    if kind in ("parquet", "folder"):
        path.parent.mkdir(exist_ok=True)
        if kind == "folder":
            path.mkdir()
        made.to_parquet(str(path if kind == "parquet" else path / "part.parquet"))
    else:
        (made if kind == "saved" else datasets.DatasetDict({"train": made})).save_to_disk(str(path))
    assert class_names(path, "tags") == NAMES and class_names(path, "title") == ()
    source = table_source(path, CorpusConfig(source="table", path=str(path), title_column="title", tags_column="tags"))
    assert isinstance(source.rows, Stream)
    tags = [post.tags for part in source.rows.read() for post in source.parse(part)]  # type: ignore[union-attr]
    assert tags == ([("bug", "idea"), ("user interface",), ()] if is_list else [("idea",), ("user interface",), ()])


def test_a_file_without_names_has_none(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("nonsense")
    (tmp_path / "dataset_info.json").write_text("[]")
    assert class_names(tmp_path / "broken.parquet", "tags") == class_names(tmp_path, "tags") == ()
    assert class_names(tmp_path / "table.csv", "tags") == ()
