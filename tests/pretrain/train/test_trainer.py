"""What a run can be asked for: its length, its checkpoints along the way."""

import json

import numpy as np
import pytest

from pretrain.config import PretrainConfig
from pretrain.model.checkpoint import load_checkpoint
from pretrain.run import pretrain
from stackbert.core.errors import StackbertError
from tests.pretrain.runs import STEPS, config, fingerprint, killed_after
from tokenizer.encoding.packed_rows import load_rows


def test_steps_and_epochs_are_budgets(small_rows, tmp_path):
    made = pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "steps", config(steps=3))
    assert made.counts["steps"] == 3
    rows = len(load_rows(small_rows / "rows", "train").ids)
    made = pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "epochs", config(epochs=0.1))
    assert made.counts["steps"] == -(-rows // 40)
    assert made.counts["epochs"] == pytest.approx(0.1, abs=0.02)


def test_minutes_become_steps_that_a_resumed_run_keeps(small_rows, tmp_path, monkeypatch):
    settings = config(minutes=0.005)
    with killed_after(2, monkeypatch):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    monkeypatch.setattr(
        "pretrain.train.trainer.step_seconds", lambda *_: pytest.fail("the number of steps was chosen before")
    )
    made = pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert made.counts["steps"] > 2


def test_timing_before_a_run_leaves_no_trace_in_it(small_rows, straight, tmp_path, monkeypatch):
    from pretrain.train import trainer as run

    honest = run.step_seconds
    monkeypatch.setattr("pretrain.train.trainer.step_seconds", lambda *given: honest(*given) and 60 / STEPS)
    made = pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(minutes=1.0))
    assert made.counts["steps"] == STEPS
    assert fingerprint(tmp_path / "run") == fingerprint(straight)


def test_two_budgets_are_refused():
    with pytest.raises(StackbertError, match="steps and minutes: give one budget"):
        PretrainConfig(steps=10, minutes=1.0)


def test_checkpoints_along_the_run_are_there_after_an_interruption_too(small_rows, straight, tmp_path, monkeypatch):
    settings = config(exports=2)
    with killed_after(10, monkeypatch):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(straight)
    folders = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [folder.name for folder in folders] == ["step-16", "step-8"]
    tables = [load_checkpoint(folder).weights["embeddings/word"] for folder in (*folders, straight)]
    assert not np.array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])
    listed = json.loads((tmp_path / "run" / "manifest.json").read_text())["files"]
    assert "checkpoints/step-8/model.safetensors" in listed
