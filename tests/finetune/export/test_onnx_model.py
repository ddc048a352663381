"""Classifiers as ONNX models: the same probabilities from onnxruntime, for texts of any number and length."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from finetune.config import ExportConfig
from finetune.deploy.bundle import load_bundle, save_bundle
from finetune.export.onnx_model import MODEL_FILE, export_onnx
from stackbert.core.errors import StackbertError
from tests.finetune.deploy.random_classifiers import TEXTS, THRESHOLDS_L, classifier_of
from tests.finetune.questions import LABELS


@pytest.mark.torch
@pytest.mark.parametrize(
    ("family", "pooling", "hidden_layer", "precision"),
    [
        ("bert", "cls", False, "float32"),
        ("bert", "cls", False, "bfloat16"),
        ("distilbert", "cls+mean", True, "float32"),
        ("roberta", "mean", False, "float32"),
        ("mpnet", "mean", False, "float32"),
        ("electra", "cls", True, "float32"),
    ],
)
def test_onnxruntime_gives_the_same_probabilities(
    family, pooling, hidden_layer, precision, small_rows, recipe, tmp_path
):
    onnxruntime = pytest.importorskip("onnxruntime")
    from transformers import AutoTokenizer

    ours = classifier_of(
        family, hidden_layer, small_rows / "tokenizer", replace(recipe, pooling=pooling, precision=precision)
    )
    save_bundle(ours, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    export_onnx(tmp_path / "model", tmp_path / "out", ExportConfig())
    ours = load_bundle(tmp_path / "model").classifier
    session = onnxruntime.InferenceSession(tmp_path / "out" / MODEL_FILE, providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for texts in (TEXTS, TEXTS[1:2]):
        read = tokenizer(texts, padding=True, truncation=True, max_length=ours.config.max_length, return_tensors="np")
        inputs = {name: read[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
        (found,) = session.run(None, inputs)
        np.testing.assert_allclose(found, ours.probabilities(ours.sequences(texts)), atol=1e-4)
    assert json.loads((tmp_path / "out" / "classifier.json").read_text())["labels"] == list(LABELS)


def test_missing_package_says_which_extra_has_it(small_rows, recipe, tmp_path, monkeypatch):
    ours = classifier_of("bert", False, small_rows / "tokenizer", recipe)
    save_bundle(ours, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(StackbertError, match=r"pip install 'stackbert\[onnx\]'"):
        export_onnx(tmp_path / "model", tmp_path / "out", ExportConfig())
    assert not (tmp_path / "out").exists()
