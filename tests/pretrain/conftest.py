"""Runs that several tests compare with."""

from pathlib import Path

import pytest

from pretrain.run import run_pretraining
from tests.pretrain.runs import config, copied_after_each_step


@pytest.fixture(scope="session")
def straight(small_rows, tmp_path_factory) -> Path:
    """The output of an uninterrupted run of `runs.config()`."""
    out = tmp_path_factory.mktemp("straight") / "run"
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", out, config())
    return out


@pytest.fixture(scope="session")
def killed(small_rows, tmp_path_factory) -> Path:
    """Folder N is the staging folder of a run of `runs.config()` killed after step N."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch, copied_after_each_step(folder / "run", folder / "copies", patch):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", folder / "run", config())
    return folder / "copies"
