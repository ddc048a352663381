"""Runs and a base that several tests use."""

from pathlib import Path

import pytest

from pretrain.model.checkpoint import save_checkpoint
from pretrain.run import run_pretraining
from tests.pretrain.runs import config, copied_after_each_step
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.config import TokenizerConfig
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.train import train_tokenizer


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


@pytest.fixture(scope="session")
def letters_base(small_rows, tmp_path_factory) -> Path:
    """A tiny BERT with random weights and 64 positions, to which most words of the small vocabulary are new."""
    folder = tmp_path_factory.mktemp("letters")
    train_tokenizer(small_rows / "corpus", folder / "tokenizer", TokenizerConfig(vocab_size=60))
    reader = load_reader(folder / "tokenizer")
    (folder / "base").mkdir()
    save_checkpoint(tiny_checkpoint("bert", reader.vocab_size, 64), folder / "tokenizer", folder / "base")
    return folder / "base"
