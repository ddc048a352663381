"""Saved classifiers in PyTorch transformers give the same probabilities."""

import json
from dataclasses import replace

import numpy as np
import pytest

from finetune.classifier.classifier import Classifier
from finetune.deploy.bundle import load_bundle, save_bundle
from stackbert.core.families.table import FAMILIES
from tests.finetune.deploy.random_classifiers import TEXTS, THRESHOLDS_L, classifier_of
from tests.finetune.questions import LABELS
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.reader import load_reader


@pytest.mark.torch
@pytest.mark.parametrize("hidden_layer", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_gives_the_same_probabilities(family, hidden_layer, small_rows, recipe, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if hidden_layer and FAMILIES[family].classifier.norm:
        pytest.skip("its LayerNorm leaves our hidden layer no place")
    ours = classifier_of(family, hidden_layer, small_rows / "tokenizer", recipe)
    save_bundle(ours, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    assert type(model).__name__ == f"{FAMILIES[family].class_prefix}ForSequenceClassification"
    assert model.config.problem_type == "multi_label_classification"
    assert model.config.id2label == dict(enumerate(LABELS))
    np.testing.assert_allclose(model.config.thresholds, THRESHOLDS_L)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    read = tokenizer(TEXTS, padding=True, truncation=True, max_length=ours.config.max_length, return_tensors="pt")
    with torch.no_grad():
        theirs = torch.sigmoid(model(read["input_ids"], attention_mask=read["attention_mask"]).logits).numpy()
    expected = ours.probabilities(ours.sequences(TEXTS))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(theirs, expected, atol=1e-4)


@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("bert", "cls+mean"), ("modernbert", "cls")])
def test_what_transformers_classes_lack_is_saved_as_an_encoder_and_our_head(
    family, pooling, small_rows, recipe, tmp_path
):
    recipe = replace(recipe, pooling=pooling, hidden_layer=True)
    classifier = Classifier(
        tiny_checkpoint(family, vocab_size=120), load_reader(small_rows / "tokenizer"), len(LABELS), recipe
    )
    classifier.head.reset(3)
    save_bundle(classifier, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert config["architectures"] == [f"{FAMILIES[family].class_prefix}ForMaskedLM"]
    loaded = load_bundle(tmp_path / "model").classifier
    expected = classifier.probabilities(classifier.sequences(TEXTS))
    np.testing.assert_allclose(loaded.probabilities(loaded.sequences(TEXTS)), expected, atol=1e-6)
