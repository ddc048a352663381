"""A labelled set and a recipe small enough for the tests."""

from pathlib import Path

import pytest

from finetune.config import FinetuneConfig
from tests.finetune.questions import write_labelled


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
