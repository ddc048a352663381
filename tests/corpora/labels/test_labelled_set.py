"""Labelled sets made by hand, with typical mistakes."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from corpora.labels.labelled_set import LabelError, label_names, load_labelled
from stackbert.core.errors import StackbertError

NAMES = ["python", "java", "c#"]


def labelled(folder: Path, labels: list[Any], names: list[Any] = NAMES) -> Path:
    (folder / "labels.json").write_text(json.dumps([{"name": name, "posts": 1} for name in names]))
    frame = pd.DataFrame({"id": [str(row) for row in range(len(labels))], "text": "text", "labels": labels})
    frame.to_parquet(folder / "train.parquet")
    return folder


def test_targets_follow_the_order_of_the_labels(tmp_path: Path) -> None:
    split = load_labelled(labelled(tmp_path, [["c#", "python"], ["java"]]), "train")
    assert split.targets.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert split.targets.dtype == "uint8"
    assert split.ids == ["0", "1"] and split.texts == ["text", "text"]
    assert label_names(tmp_path) == ("python", "java", "c#")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["java"], ["pyhton"]], r"row 2 \(id '1'\): label 'pyhton' is not among the 3 labels.*nearest is 'python'"),
        ([["java"], ["java", ""]], r"row 2 \(id '1'\): an empty label"),
        ([["java"], ["java", None]], r"row 2 \(id '1'\): an empty label"),
        ([["java"], ["java", "java"]], r"row 2 \(id '1'\): label 'java' is named twice"),
        ([["java"], []], r"row 2 \(id '1'\): no label"),
        ([["java"], None], r"row 2 \(id '1'\): no label"),
    ],
)
def test_a_bad_row_is_an_error_with_its_number(tmp_path: Path, labels: list[Any], message: str) -> None:
    with pytest.raises(LabelError, match=f"train.parquet: {message}"):
        load_labelled(labelled(tmp_path, labels), "train")


def test_split_without_a_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"train\.parquet: the train split holds no text"):
        load_labelled(labelled(tmp_path, []), "train")


def test_with_misc_a_row_without_labels_is_misc(tmp_path: Path) -> None:
    split = load_labelled(labelled(tmp_path, [["java"], []], ["java", "misc"]), "train")
    assert split.targets.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], [], ["a", 3]])
def test_bad_label_lists_are_errors(tmp_path: Path, names: list[Any]) -> None:
    with pytest.raises(
        LabelError, match=r"labels.json: (label 2|holds no label)|labels.json: label 'a' is named twice"
    ):
        label_names(labelled(tmp_path, [["a"]], names))


def test_missing_files_and_columns_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StackbertError, match=r"labels\.json: no such file"):
        load_labelled(tmp_path, "train")
    labelled(tmp_path, [["java"]])
    with pytest.raises(StackbertError, match=r"test.parquet: no such file; splits in this folder: train"):
        load_labelled(tmp_path, "test")
    pd.DataFrame({"id": ["1"], "text": ["x"]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(StackbertError, match="needs the columns id, text and labels"):
        load_labelled(tmp_path, "train")
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(StackbertError, match="should be a list"):
        load_labelled(tmp_path, "train")
