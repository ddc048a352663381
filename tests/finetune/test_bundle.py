"""A fine-tuned classifier on disk."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from corpora.errors import StackbertError
from finetune.bundle import Prediction, load_bundle, save_bundle
from finetune.classifier import Classifier
from pretrain.checkpoint import CheckpointError, load_checkpoint
from tests.finetune.questions import LABELS
from tokenizer.reader import load_reader

TEXTS = ["sort a table in mysql", "numpy rows", ""]


@pytest.fixture(scope="module")
def classifier(tiny_base, recipe) -> Classifier:
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), recipe)
    classifier.reset_head(5)
    return classifier


@pytest.fixture(scope="module")
def saved(classifier, tiny_base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "model"
    save_bundle(classifier, tiny_base, LABELS, 0.5, folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_loaded_classifier_predicts_what_the_saved_one_did(classifier, saved):
    expected = classifier.probabilities(classifier.sequences(TEXTS))
    bundle = load_bundle(saved)
    assert bundle.threshold == 0.5
    for prediction, scores in zip(bundle.predict(TEXTS), expected, strict=True):
        found = [score for _, score in prediction.labels]
        assert found == sorted(found, reverse=True)
        np.testing.assert_allclose([dict(prediction.labels)[name] for name in LABELS], scores, rtol=1e-6)


def test_text_alone_and_among_others_gets_the_same_labels(saved):
    bundle = load_bundle(saved)
    alone, among = bundle.predict(TEXTS[:1])[0], bundle.predict(TEXTS)[0]
    assert [name for name, _ in alone.labels] == [name for name, _ in among.labels]
    np.testing.assert_allclose([s for _, s in alone.labels], [s for _, s in among.labels], atol=1e-6)


def test_chosen_labels_reach_the_threshold():
    prediction = Prediction([("a", 0.9), ("b", 0.5), ("c", 0.4)], 0.5)
    assert prediction.chosen == [("a", 0.9), ("b", 0.5)]


def test_half_written_folder_is_replaced(classifier, tiny_base, copied):
    (copied / "head.safetensors").write_bytes(b"")
    save_bundle(classifier, tiny_base, LABELS, 0.5, copied)
    assert len(load_bundle(copied).labels) == len(LABELS)


@pytest.mark.parametrize("name", ["classifier.json", "head.safetensors"])
def test_folder_without_a_file_is_not_a_classifier(name, copied):
    (copied / name).unlink()
    with pytest.raises(StackbertError, match="so this is not a fine-tuned classifier"):
        load_bundle(copied)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"labels": ["a"], "threshold": 0.5, "config": {"x": 1}}'])
def test_broken_settings_are_an_error(content, copied):
    (copied / "classifier.json").write_text(content)
    with pytest.raises(StackbertError, match=r"classifier\.json: cannot be read"):
        load_bundle(copied)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b'\x08\0\0\0\0\0\0\0{"a": 1}'])
def test_broken_head_is_an_error(content, copied):
    (copied / "head.safetensors").write_bytes(content)
    with pytest.raises(StackbertError, match="cannot be read"):
        load_bundle(copied)


def test_head_of_another_shape_is_an_error(copied):
    save_file({"weight": np.zeros((2, 24), "f4"), "bias": np.zeros(2, "f4")}, copied / "head.safetensors")
    with pytest.raises(StackbertError, match=r"head\.safetensors: holds .*not .*\(3, 24\)"):
        load_bundle(copied)


def test_classifier_with_pickled_weights_is_refused(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="refused"):
        load_bundle(copied)


def test_settings_are_plain_json(saved):
    settings = json.loads((saved / "classifier.json").read_text("utf-8"))
    assert settings["labels"] == list(LABELS)
    assert settings["config"]["max_length"] == 12
