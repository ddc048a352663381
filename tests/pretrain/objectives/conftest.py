"""The base of the objectives' runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from pretrain.model.checkpoint import save_checkpoint, with_positions
from tests.pretrain.tiny import tiny_checkpoint


@pytest.fixture(scope="session")
def headless_base(small_rows, tmp_path_factory) -> Path:
    """A tiny BERT with the small vocabulary and 32 positions, without an MLM head."""
    folder = tmp_path_factory.mktemp("headless")
    checkpoint = with_positions(replace(tiny_checkpoint("bert", vocab_size=120), has_mlm_head=False), 32)
    save_checkpoint(checkpoint, small_rows / "tokenizer", folder)
    return folder
