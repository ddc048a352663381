"""A run that nothing interrupts, for those that are interrupted to be compared with."""

from pathlib import Path

import pytest

from pretrain.run import pretrain
from tests.pretrain.runs import config


@pytest.fixture(scope="session")
def straight(small_rows, tmp_path_factory) -> Path:
    """The output of `runs.config()`."""
    out = tmp_path_factory.mktemp("straight") / "run"
    pretrain(small_rows / "rows", small_rows / "tokenizer", out, config())
    return out
