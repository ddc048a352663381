"""The length of a run, and its intermediate checkpoints."""

import json

import numpy as np
import pytest

from pretrain.config import PretrainConfig
from pretrain.model.checkpoint import load_checkpoint
from pretrain.run import run_pretraining
from stackbert.core.errors import StackbertError
from tests.pretrain.runs import STEPS, config, fingerprint, killed_after
from tokenizer.encoding.packed_rows import load_rows


def test_steps_and_epochs_set_the_length(small_rows, tmp_path):
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "steps", config(steps=3))
    assert made.counts["steps"] == 3
    rows = len(load_rows(small_rows / "rows", "train").ids)
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "epochs", config(epochs=0.1))
    assert made.counts["steps"] == -(-rows // 40)
    assert made.counts["epochs"] == pytest.approx(0.1, abs=0.02)


def test_resumed_run_keeps_the_steps_computed_from_minutes(small_rows, tmp_path, monkeypatch):
    settings = config(minutes=0.005)
    with killed_after(2, monkeypatch):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    monkeypatch.setattr(
        "pretrain.train.trainer.step_seconds", lambda *_: pytest.fail("the number of steps was chosen before")
    )
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert made.counts["steps"] > 2


def test_timing_before_a_run_leaves_no_trace_in_it(small_rows, straight, tmp_path, monkeypatch):
    from pretrain.train import trainer

    honest = trainer.step_seconds
    monkeypatch.setattr("pretrain.train.trainer.step_seconds", lambda *given: honest(*given) and 60 / STEPS)
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(minutes=1.0))
    assert made.counts["steps"] == STEPS
    assert fingerprint(tmp_path / "run") == fingerprint(straight)


def test_two_lengths_are_refused():
    with pytest.raises(StackbertError, match="steps and minutes: set one of them"):
        PretrainConfig(steps=10, minutes=1.0)


def test_intermediate_checkpoints_are_complete_after_an_interruption(small_rows, straight, tmp_path, monkeypatch):
    settings = config(exports=2)
    with killed_after(10, monkeypatch):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(straight)
    folders = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [folder.name for folder in folders] == ["step-16", "step-8"]
    tables = [load_checkpoint(folder).weights["embeddings/word"] for folder in (*folders, straight)]
    assert not np.array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])
    listed = json.loads((tmp_path / "run" / "manifest.json").read_text())["files"]
    assert "checkpoints/step-8/model.safetensors" in listed
