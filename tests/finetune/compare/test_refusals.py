"""Comparisons that are refused."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from finetune import commands
from finetune.compare.compare import compare
from finetune.compare.comparison import load_comparison
from finetune.config import CompareConfig
from finetune.trials.systems import LINEAR
from pretrain.model.checkpoint import save_checkpoint
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS, WITHOUT_BASELINES
from tests.pretrain.tiny import tiny_checkpoint


def test_texts_in_two_splits_are_refused_or_cause_a_warning(labelled, tiny_base, config, tmp_path):
    made = tmp_path / "labels"
    shutil.copytree(labelled, made)
    (made / "manifest.json").unlink(missing_ok=True)
    train = pd.read_parquet(made / "train.parquet")
    train.to_parquet(made / "test.parquet")
    with pytest.raises(StackbertError, match=r"ids of train are in test too"):
        compare(made, {"one": str(tiny_base)}, tmp_path / "out", config)
    train.assign(id=[f"copy {number}" for number in range(len(train))]).to_parquet(made / "test.parquet")
    compare(made, {"one": str(tiny_base)}, tmp_path / "out", replace(config, seeds=(0,), **WITHOUT_BASELINES))
    warnings = load_comparison(tmp_path / "out").warnings
    assert f"{len(train)} of the test texts are, word for word, among the training or dev texts." in warnings


def test_names_of_two_checkpoints_differ(labelled, tmp_path):
    with pytest.raises(StackbertError, match="checkpoints: the name one is used more than once"):
        commands.compare(labelled, [("one", "minilm"), ("one", "bert")], CompareConfig(), tmp_path / "out")


def test_baseline_that_is_no_system_is_an_error(labelled, checkpoints, config, tmp_path):
    with pytest.raises(
        StackbertError, match=rf"baseline 'base' is not among the systems: {re.escape(LINEAR)}, .*adapted"
    ):
        compare(labelled, checkpoints, tmp_path / "out", replace(config, baseline="base"))


def of_one_label(labelled: Path, folder: Path) -> Path:
    """The labelled set with its first label only."""
    shutil.copytree(labelled, folder, ignore=shutil.ignore_patterns("manifest.json"))
    for path in folder.glob("*.parquet"):
        table = pd.read_parquet(path)
        table[[LABELS[0] in row for row in table["labels"]]].assign(labels=lambda t: [[LABELS[0]]] * len(t)).to_parquet(
            path
        )
    (folder / "labels.json").write_text(json.dumps([{"name": LABELS[0]}]))
    return folder


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label_sizes": (60, 240, 500)}, r"label_sizes \[240, 500\]: must be below 240, the number of training texts"),
        (
            {"include_exports": True},
            "include_exports: no checkpoint has exported ones; run 'pretrain run' with --exports",
        ),
    ],
)
def test_gains_that_cannot_be_measured_are_refused(changed, message, labelled, checkpoints, config, tmp_path):
    with pytest.raises(StackbertError, match=message):
        compare(labelled, checkpoints, tmp_path / "out", replace(config, **changed))
    assert list(tmp_path.iterdir()) == []


def test_set_of_one_label_is_refused(labelled, checkpoints, config, tmp_path):
    with pytest.raises(StackbertError, match="holds one label; give two or more"):
        compare(of_one_label(labelled, tmp_path / "one"), checkpoints, tmp_path / "out", config)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("names", [("c++", "c#"), ("Adapted", "adapted"), ("base", "TF-IDF, logistic regression")])
def test_systems_that_would_share_a_folder_are_refused(names, labelled, tiny_base, config, tmp_path):
    with pytest.raises(StackbertError, match="differ in punctuation or case only; rename one"):
        compare(labelled, dict.fromkeys(names, str(tiny_base)), tmp_path / "out", config)


def test_checkpoint_without_safetensors_is_refused_by_name(labelled, tiny_base, config, tmp_path):
    unsafe = tmp_path / "unsafe"
    unsafe.mkdir()
    (unsafe / "config.json").write_bytes((tiny_base / "config.json").read_bytes())
    (unsafe / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(StackbertError, match=r"pytorch_model\.bin can run code when loaded, so it is refused"):
        compare(labelled, {"generic": str(unsafe)}, tmp_path / "out", replace(config, **WITHOUT_BASELINES))


def test_vocabulary_larger_than_the_word_table_is_refused(labelled, small_rows, config, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    save_checkpoint(tiny_checkpoint("bert"), small_rows / "tokenizer", small)
    with pytest.raises(StackbertError, match=r"config.json gives the word table 48 rows"):
        compare(labelled, {"generic": str(small)}, tmp_path / "out", replace(config, **WITHOUT_BASELINES))


def test_length_beyond_the_positions_is_refused(labelled, checkpoints, config, tmp_path):
    changed = replace(config, **WITHOUT_BASELINES, recipe=replace(config.recipe, max_length=21))
    with pytest.raises(StackbertError, match="reads 20 tokens at most; max_length is 21"):
        compare(labelled, checkpoints, tmp_path / "out", changed)
