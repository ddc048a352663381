"""A small labelled set, a small recipe, two checkpoints, a finished comparison of them, and a classifier."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorflow.python.eager.polymorphic_function import polymorphic_function

from finetune.classifier.classifier import Classifier
from finetune.compare.compare import compare
from finetune.config import CompareConfig, FinetuneConfig
from finetune.deploy.bundle import save_bundle
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from tests.finetune.questions import LABELS, write_labelled
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.reader import load_reader


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> Path:
    """A labelled set of three labels."""
    return write_labelled(tmp_path_factory.mktemp("labelled") / "set")


@pytest.fixture(scope="session")
def recipe() -> FinetuneConfig:
    """Two phases of a few seconds."""
    return FinetuneConfig(
        max_length=12,
        head_epochs=10,
        head_learning_rate=1e-2,
        epochs=2,
        learning_rate=2e-3,
        batch_size=16,
        precision="float32",
    )


@pytest.fixture(scope="session")
def config(recipe) -> CompareConfig:
    """A comparison with two seeds, one epoch each."""
    return CompareConfig(recipe=replace(recipe, epochs=1, head_epochs=2), seeds=(0, 1), resamples=100, title="Tiny")


@pytest.fixture(scope="session")
def checkpoints(tiny_base, small_rows, tmp_path_factory) -> dict[str, str]:
    """Two checkpoints of different families by name."""
    other = tmp_path_factory.mktemp("other")
    save_checkpoint(tiny_checkpoint("distilbert", vocab_size=120), small_rows / "tokenizer", other)
    return {"generic": str(tiny_base), "adapted": str(other)}


@pytest.fixture(scope="session")
def finished(labelled, checkpoints, config, tmp_path_factory) -> Path:
    """The output of a finished comparison of both checkpoints and both baselines; not to be changed."""
    out = tmp_path_factory.mktemp("comparison") / "out"
    compare(labelled, checkpoints, out, config)
    return out


@pytest.fixture(scope="session")
def mysql_model(tiny_base, recipe, tmp_path_factory) -> Path:
    """A saved classifier with the same probabilities for every text: mysql 0.622, numpy 0.047, node.js 0.018."""
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), recipe)
    classifier.head.assign({"kernel": np.zeros((24, 3)), "bias": np.array([0.5, -3, -4])})
    folder = tmp_path_factory.mktemp("bundle") / "model"
    save_bundle(classifier, tiny_base, LABELS, np.full(3, 0.5), folder)
    return folder


@pytest.fixture
def retracing_warnings(monkeypatch, caplog) -> Callable[[], list[str]]:
    """Gives TensorFlow's warnings of the test that 5 of the last 10 calls of a function traced it."""
    manager = polymorphic_function._FrequentTracingDetectorManager()  # the global one warns twice per function only
    monkeypatch.setattr(polymorphic_function, "_frequent_tracing_detector_manager", manager)
    monkeypatch.setattr(logging.getLogger("tensorflow"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="tensorflow")
    return lambda: [record.message for record in caplog.records if "retracing" in record.message]
