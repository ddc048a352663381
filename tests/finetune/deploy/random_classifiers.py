"""Classifiers of every family with random weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from finetune.classifier.classifier import Classifier
from finetune.config import FinetuneConfig
from pretrain.model.checkpoint import Checkpoint, with_vocabulary
from tests.finetune.questions import LABELS
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.reader import load_reader

TEXTS = ["sort a table in mysql", "numpy rows", "connect from node.js to mysql and print the rows of a list", "x"]
THRESHOLDS_L = np.array([0.2, 0.3, 0.4])


def classifier_of(family: str, hidden_layer: bool, tokenizer: Path, recipe: FinetuneConfig) -> Classifier:
    """A classifier with weights as large as a fine-tuned one's."""
    config = replace(recipe, hidden_layer=hidden_layer)
    classifier = Classifier(checkpoint_of(family, tokenizer), load_reader(tokenizer), len(LABELS), config)
    generator = np.random.default_rng(1)
    classifier.head.assign({k: generator.normal(0, 0.5, v.shape) for k, v in classifier.head.weights.items()})
    return classifier


def checkpoint_of(family: str, tokenizer: Path) -> Checkpoint:
    """A tiny checkpoint whose padding id is the tokenizer's."""
    reader, found = load_reader(tokenizer), tiny_checkpoint(family, vocab_size=120)
    table_VH, bias_V = found.weights["embeddings/word"], found.weights["mlm/bias"]
    return with_vocabulary(found, table_VH, bias_V, {"pad_token_id": reader.padding_id})
