"""Kept classifiers in PyTorch transformers: the same probabilities."""

import json
from dataclasses import replace

import numpy as np
import pytest

from finetune.classifier.classifier import Classifier
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import load_bundle, save_bundle
from finetune.deploy.hf_head import CLASS_NAMES
from pretrain.model.checkpoint import with_vocabulary
from tests.finetune.questions import LABELS
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.reader import load_reader

TEXTS = ["sort a table in mysql", "numpy rows", "connect from node.js to mysql and print the rows of a list", "x"]
THRESHOLDS_L = np.array([0.2, 0.3, 0.4])


def classifier_of(family: str, hidden_layer: bool, tokenizer, recipe: FinetuneConfig) -> Classifier:
    """A classifier with weights as large as a fine-tuned one's."""
    config = replace(recipe, hidden_layer=hidden_layer)
    reader, found = load_reader(tokenizer), tiny_checkpoint(family, vocab_size=120)
    table_VH, bias_V = found.weights["embeddings/word"], found.weights["mlm/bias"]
    checkpoint = with_vocabulary(found, table_VH, bias_V, {"pad_token_id": reader.padding_id})
    classifier = Classifier(checkpoint, reader, len(LABELS), config)
    generator = np.random.default_rng(1)
    classifier.head.assign({k: generator.normal(0, 0.5, v.shape) for k, v in classifier.head.weights.items()})
    return classifier


@pytest.mark.torch
@pytest.mark.parametrize("hidden_layer", [False, True])
@pytest.mark.parametrize("family", list(CLASS_NAMES))
def test_transformers_gives_the_same_probabilities(family, hidden_layer, small_rows, recipe, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    ours = classifier_of(family, hidden_layer, small_rows / "tokenizer", recipe)
    save_bundle(ours, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    assert type(model).__name__ == CLASS_NAMES[family]
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


@pytest.mark.parametrize("pooling", ["mean", "cls+mean"])
def test_other_poolings_are_kept_as_an_encoder_beside_our_head(pooling, small_rows, recipe, tmp_path):
    config = replace(recipe, pooling=pooling, hidden_layer=True)
    classifier = Classifier(
        tiny_checkpoint("bert", vocab_size=120), load_reader(small_rows / "tokenizer"), len(LABELS), config
    )
    classifier.head.reset(3)
    save_bundle(classifier, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    kept = json.loads((tmp_path / "model" / "config.json").read_text("utf-8"))
    assert kept["architectures"] == ["BertForMaskedLM"]
    loaded = load_bundle(tmp_path / "model").classifier
    expected = classifier.probabilities(classifier.sequences(TEXTS))
    np.testing.assert_allclose(loaded.probabilities(loaded.sequences(TEXTS)), expected, atol=1e-6)
