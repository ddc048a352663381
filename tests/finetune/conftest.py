"""A labelled set and a recipe small enough for the tests."""

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.config import CompareConfig, FinetuneConfig
from pretrain.model.checkpoint import save_checkpoint
from tests.finetune.questions import write_labelled
from tests.pretrain.tiny import tiny_checkpoint


@pytest.fixture(scope="session")
def labelled(tmp_path_factory) -> Path:
    """A labelled set of three labels."""
    return write_labelled(tmp_path_factory.mktemp("labelled") / "set")


@pytest.fixture(scope="session")
def recipe() -> FinetuneConfig:
    """Two phases of seconds."""
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
    """A comparison of two seeds, one epoch each."""
    return CompareConfig(recipe=replace(recipe, epochs=1, head_epochs=2), seeds=(0, 1), resamples=100, title="Tiny")


@pytest.fixture(scope="session")
def rows(tiny_base, small_rows, tmp_path_factory) -> dict[str, str]:
    """Two checkpoints of different families by the names of their rows."""
    other = tmp_path_factory.mktemp("other")
    save_checkpoint(tiny_checkpoint("distilbert", vocab_size=120), small_rows / "tokenizer", other)
    return {"generic": str(tiny_base), "adapted": str(other)}
