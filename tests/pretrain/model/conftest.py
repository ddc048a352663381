"""Checkpoints that a test may change."""

from pathlib import Path

import pytest

from pretrain.model.checkpoint import save_checkpoint
from tests.pretrain.tiny import tiny_checkpoint


@pytest.fixture
def bert(tmp_path) -> Path:
    save_checkpoint(tiny_checkpoint("bert"), tmp_path, tmp_path)
    return tmp_path


@pytest.fixture(params=["bert", "distilbert", "roberta", "electra", "mpnet"])
def any_family(request, tmp_path) -> Path:
    save_checkpoint(tiny_checkpoint(request.param), tmp_path, tmp_path)
    return tmp_path
