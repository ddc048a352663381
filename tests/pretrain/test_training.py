"""A pretraining run: learns, stops and goes on exactly, and writes a checkpoint that says from what it was made."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from corpora.errors import StackbertError
from pretrain.checkpoint import load_checkpoint, save_checkpoint
from pretrain.config import PretrainConfig
from pretrain.state import RunState
from pretrain.training import TrainingError, pretrain
from tests.pretrain.tiny import tiny_checkpoint

STEPS = 24


def config(**changes) -> PretrainConfig:
    settings = {
        "base": "random-tiny",
        "tokens": STEPS * 4 * 32,
        "batch_rows": 4,
        "learning_rate": 1e-3,
        "precision": "float32",
        "save_seconds": 1e9,
        "evaluations": 1,
        "held_out_rows": 8,
    }
    return PretrainConfig(**settings | changes)


def fingerprint(folder: Path) -> str:
    """sha256 of the trained weights and of the losses along the way."""
    history = (folder / "history.json").read_bytes()
    return hashlib.sha256((folder / "model.safetensors").read_bytes() + history).hexdigest()


@pytest.fixture(scope="module")
def straight(small_rows, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("straight") / "run"
    pretrain(small_rows / "rows", small_rows / "tokenizer", out, config())
    return out


def test_run_learns_and_says_from_what_it_was_made(straight):
    manifest = json.loads((straight / "manifest.json").read_text())
    assert set(manifest["inputs"]) == {"rows", "tokenizer"}
    assert manifest["counts"]["steps"] == STEPS
    before, after = manifest["counts"]["held_out_before"], manifest["counts"]["held_out_after"]
    assert after["loss"] < before["loss"] - 0.1
    assert after["bits_per_byte"] < before["bits_per_byte"]
    assert not (straight / "state").exists()
    assert load_checkpoint(straight).has_mlm_head


class KilledError(Exception):
    """Stands for a process that ends at once."""


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_stop_at_any_step_and_resume_gives_the_same_bytes(stop, straight, small_rows, tmp_path, monkeypatch):
    saved = RunState.save_if_due

    def save_then_die(self, step):
        if step == stop:
            self.save(step)
            raise KilledError
        saved(self, step)

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", save_then_die)
        with pytest.raises(KilledError):
            pretrain(small_rows / "rows", small_rows / "tokenizer", out, config())
    assert not out.exists()
    pretrain(small_rows / "rows", small_rows / "tokenizer", out, config())
    assert fingerprint(out) == fingerprint(straight)


def test_resume_with_another_configuration_is_refused(small_rows, tmp_path, monkeypatch):
    def die(self, step):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", die)
        with pytest.raises(KilledError):
            pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config())
    with pytest.raises(StackbertError, match=r"config\.learning_rate: 0\.001 -> 0\.002"):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(learning_rate=2e-3))


def test_loss_that_is_not_a_number_stops_the_run(small_rows, tmp_path):
    with pytest.raises(TrainingError, match="Lower learning_rate"):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(learning_rate=1e8))


def test_rows_of_another_tokenizer_are_refused(small_rows, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in (small_rows / "tokenizer").iterdir():
        (other / path.name).write_text(path.read_text().replace("numpy", "numqy"))
    with pytest.raises(StackbertError, match="another tokenizer"):
        pretrain(small_rows / "rows", other, tmp_path / "run", config())


def test_rows_longer_than_the_base_reads_are_refused(small_rows, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    save_checkpoint(tiny_checkpoint("bert"), small_rows / "tokenizer", base)
    with pytest.raises(StackbertError, match="20 at most"):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(base=str(base)))


def test_held_out_history_has_equal_masks_at_each_point(straight):
    history = json.loads((straight / "history.json").read_text())
    assert [point["step"] for point in history] == [0, STEPS // 2, STEPS]
    assert np.isfinite([point["loss"] for point in history]).all()
