"""A fine-tuned classifier on disk."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from finetune.classifier.classifier import Classifier
from finetune.deploy.bundle import load_bundle, save_bundle
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.stored_tensors import CheckpointError
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS
from tokenizer.encoding.reader import load_reader

THRESHOLDS = np.array([0.4, 0.5, 0.6])
TEXTS = ["sort a table in mysql", "numpy rows", ""]


@pytest.fixture(scope="module")
def classifier(tiny_base, recipe) -> Classifier:
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), recipe)
    classifier.head.reset(5)
    return classifier


@pytest.fixture(scope="module")
def saved(classifier, tiny_base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "model"
    save_bundle(classifier, tiny_base, LABELS, THRESHOLDS, folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_loaded_classifier_predicts_what_the_saved_one_did(classifier, saved):
    expected = classifier.probabilities(classifier.sequences(TEXTS))
    bundle = load_bundle(saved)
    for prediction, scores in zip(bundle.predict(TEXTS), expected, strict=True):
        found = [label.score for label in prediction]
        assert found == sorted(found, reverse=True)
        by_name = {label.name: label for label in prediction}
        np.testing.assert_allclose([by_name[name].score for name in LABELS], scores, rtol=1e-6)
        assert [by_name[name].chosen for name in LABELS] == (scores >= THRESHOLDS).tolist()


def test_classifier_trained_in_bfloat16_is_loaded_in_float32(classifier, copied):
    settings = json.loads((copied / "classifier.json").read_text("utf-8"))
    settings["config"]["precision"] = "bfloat16"
    (copied / "classifier.json").write_text(json.dumps(settings))
    loaded = load_bundle(copied).classifier
    assert loaded.config.precision == "float32"
    expected = classifier.probabilities(classifier.sequences(TEXTS))
    np.testing.assert_allclose(loaded.probabilities(loaded.sequences(TEXTS)), expected, rtol=1e-6)


def test_text_alone_and_among_others_gets_the_same_labels(saved):
    bundle = load_bundle(saved)
    alone, among = bundle.predict(TEXTS[:1])[0], bundle.predict(TEXTS)[0]
    assert [label.name for label in alone] == [label.name for label in among]
    np.testing.assert_allclose([label.score for label in alone], [label.score for label in among], atol=1e-6)


def test_half_written_folder_is_replaced(classifier, tiny_base, copied):
    (copied / "head.safetensors").write_bytes(b"")
    save_bundle(classifier, tiny_base, LABELS, THRESHOLDS, copied)
    assert len(load_bundle(copied).labels) == len(LABELS)


@pytest.mark.parametrize("name", ["classifier.json", "head.safetensors"])
def test_folder_without_a_file_is_not_a_classifier(name, copied):
    (copied / name).unlink()
    with pytest.raises(StackbertError, match="so this is not a fine-tuned classifier"):
        load_bundle(copied)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"labels": ["a"], "thresholds": [0.5], "config": {"x": 1}}',
        '{"labels": ["a"], "thresholds": [], "config": {}}',
        '{"labels": "abc", "thresholds": [0.5, 0.5, 0.5], "config": {}}',
        '{"labels": [1, 2, 3], "thresholds": [0.5, 0.5, 0.5], "config": {}}',
        '{"labels": ["a", "a", "b"], "thresholds": [0.5, 0.5, 0.5], "config": {}}',
        '{"labels": null, "thresholds": [], "config": {}}',
        '{"labels": ["a"], "thresholds": [NaN], "config": {}}',
        '{"labels": ["a"], "thresholds": [1.5], "config": {}}',
        '{"labels": ["a"], "thresholds": ["x"], "config": {}}',
        '{"labels": ["a"], "thresholds": [0.5], "config": {"max_length": "many"}}',
        '{"labels": ["a"], "thresholds": [0.5], "config": {"max_length": 2}}',
        '{"labels": ["a"], "thresholds": [0.5], "config": {"pooling": "max"}}',
        '{"labels": ["a"], "thresholds": [0.5], "config": []}',
    ],
)
def test_broken_settings_are_an_error(content, copied):
    (copied / "classifier.json").write_text(content)
    with pytest.raises(StackbertError, match=r"classifier\.json: cannot be read: [^\n]+$"):
        load_bundle(copied)


def test_a_length_that_the_encoder_cannot_read_is_an_error(copied):
    settings = json.loads((copied / "classifier.json").read_text())
    settings["config"]["max_length"] = 500
    (copied / "classifier.json").write_text(json.dumps(settings))
    with pytest.raises(StackbertError, match=r"max_length is 500, but the checkpoint reads \d+ tokens at most"):
        load_bundle(copied)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b'\x08\0\0\0\0\0\0\0{"a": 1}'])
def test_broken_head_is_an_error(content, copied):
    (copied / "head.safetensors").write_bytes(content)
    with pytest.raises(StackbertError, match="cannot be read"):
        load_bundle(copied)


def test_head_of_another_shape_is_an_error(copied):
    save_file({"kernel": np.zeros((24, 2), "f4"), "bias": np.zeros(2, "f4")}, copied / "head.safetensors")
    with pytest.raises(StackbertError, match=r"head\.safetensors: holds .*not .*\(24, 3\)"):
        load_bundle(copied)


def test_classifier_with_pickled_weights_is_refused(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="refused"):
        load_bundle(copied)


def test_settings_are_plain_json(saved):
    settings = json.loads((saved / "classifier.json").read_text("utf-8"))
    assert settings["labels"] == list(LABELS)
    assert settings["config"]["max_length"] == 12
