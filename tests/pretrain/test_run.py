"""A pretraining run: its output, its errors, and that a stopped run resumes with the same result."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import PretrainConfig, unused_settings
from pretrain.init import token_distillation
from pretrain.model.checkpoint import load_checkpoint
from pretrain.run import run_pretraining
from pretrain.train.state import RunState
from pretrain.train.validation import TrainingError
from stackbert.core.artifact import SCRATCH
from stackbert.core.errors import StackbertError
from tests.pretrain.processes import finish, start, wait_for
from tests.pretrain.runs import STEPS, KilledError, config, copied_after_each_step, fingerprint
from tokenizer.encoding.reader import load_reader


def test_manifest_has_inputs_and_validation_losses(straight):
    manifest = json.loads((straight / "manifest.json").read_text())
    assert set(manifest["inputs"]) == {"rows", "tokenizer"}
    assert manifest["counts"]["steps"] == STEPS
    before, after = manifest["counts"]["validation_before"], manifest["counts"]["validation_after"]
    assert (before["step"], after["step"]) == (0, STEPS)
    assert before["bits_per_byte"] / before["loss"] == pytest.approx(after["bits_per_byte"] / after["loss"])
    assert not (straight / SCRATCH).exists()
    assert load_checkpoint(straight).has_mlm_head


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_run_killed_after_any_step_resumes_to_the_same_bytes(stop, killed, straight, small_rows, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(killed / str(stop), tmp_path / "run.partial")
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", out, config())
    assert fingerprint(out) == fingerprint(straight)


def test_resume_with_another_configuration_is_refused(small_rows, tmp_path, monkeypatch):
    def die(self, step):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", die)
        with pytest.raises(KilledError):
            run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config())
    with pytest.raises(StackbertError, match=r"config\.learning_rate: 0\.001 -> 0\.002"):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(learning_rate=2e-3))


def test_diverging_loss_stops_the_run(small_rows, tmp_path):
    with pytest.raises(TrainingError, match="with a lower learning_rate"):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(learning_rate=1e8))


def test_rows_of_another_tokenizer_are_refused(small_rows, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in (small_rows / "tokenizer").iterdir():
        (other / path.name).write_text(path.read_text().replace("numpy", "numqy"))
    with pytest.raises(StackbertError, match="another tokenizer"):
        run_pretraining(small_rows / "rows", other, tmp_path / "run", config())


def test_rows_longer_than_the_base_allows_are_refused(small_rows, tiny_base, tmp_path):
    with pytest.raises(StackbertError, match="20 at most"):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(base=str(tiny_base)))


def test_history_has_a_finite_validation_loss_at_each_point(straight):
    history = json.loads((straight / "history.json").read_text())
    assert [point["step"] for point in history] == [0, STEPS // 2, STEPS]
    assert np.isfinite([point["loss"] for point in history]).all()


KILLS_ITSELF = """
import os, signal
from pretrain.train.state import RunState
save = RunState.save
def save_and_die(self, step):
    save(self, step)
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
RunState.save = save_and_die
"""


def test_kill_9_in_the_middle_and_resume_gives_the_weights_of_the_straight_run(straight, small_rows, tmp_path):
    settings = vars(config(save_seconds=0.0))
    assert finish(start(small_rows, tmp_path / "run", settings, first=KILLS_ITSELF)) == [-signal.SIGKILL]
    assert not (tmp_path / "run").exists()
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(save_seconds=0.0))
    assert fingerprint(tmp_path / "run") == fingerprint(straight)


def test_sigterm_saves_the_state_and_exits_75(small_rows, tmp_path):
    settings = vars(config(tokens=100_000 * 4 * 32))  # far longer than the test waits
    process = start(small_rows, tmp_path / "run", settings)
    wait_for(tmp_path / "run.partial" / "history.json", process)
    process.send_signal(signal.SIGTERM)
    assert finish(process) == [75]
    assert not (tmp_path / "run").exists()
    assert list((tmp_path / "run.partial" / SCRATCH).glob("ckpt-*.index"))


PHASES = {
    "embeddings": {"embeddings_first": 0.25, "transfer": "similar"},
    "new rows": {"new_rows_first": 0.25, "embeddings_first": 0.1, "transfer": "distill", "new_token_rate": 2.0},
}
"""Settings of runs of 12 steps, of which the first 3 train the embeddings or new rows."""


@pytest.fixture(scope="module", params=PHASES)
def killed_in_phases(request, small_rows, letters_base, tmp_path_factory) -> tuple[PretrainConfig, Path]:
    """A run with further phases before the main one, and its staging folders as if killed after each step."""
    folder = tmp_path_factory.mktemp("phases")
    settings = config(base=str(letters_base), tokens=12 * 4 * 32, **PHASES[request.param])
    with pytest.MonkeyPatch.context() as patch, copied_after_each_step(folder / "run", folder / "copies", patch):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", folder / "run", settings)
    return settings, folder


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_run_killed_around_the_end_of_a_phase_resumes_to_the_same_bytes(stop, killed_in_phases, small_rows, tmp_path):
    settings, folder = killed_in_phases
    shutil.copytree(folder / "copies" / str(stop), tmp_path / "run.partial")
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(folder / "run")


def test_fit_of_new_tokens_is_kept_from_before_the_first_step(small_rows, letters_base, tmp_path, monkeypatch):
    """A run that was killed before a state was saved begins with the same weights, without another fit."""
    settings = config(base=str(letters_base), tokens=2 * 4 * 32, transfer="distill")
    arguments = small_rows / "rows", small_rows / "tokenizer"

    def die(self, step):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", die)
        with pytest.raises(KilledError):
            run_pretraining(*arguments, tmp_path / "run", settings)
    assert not list((tmp_path / "run.partial" / SCRATCH).glob("ckpt*"))
    with monkeypatch.context() as patch:
        patch.setattr(token_distillation, "fit_new_rows", None)
        notes = run_pretraining(*arguments, tmp_path / "run", settings).counts["notes"]
    straight = run_pretraining(*arguments, tmp_path / "straight", settings)
    assert straight.counts["notes"] == notes
    assert any(note.startswith("token distillation on") for note in notes)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "straight")


@pytest.mark.torch
def test_fill_mask_of_pytorch_transformers_reads_tokenizer_and_checkpoint(straight):
    pytest.importorskip("torch")
    from transformers import pipeline

    predictions = pipeline("fill-mask", model=str(straight))("how to connect to [MASK] from c++")
    tokens = load_reader(straight).tokens()
    assert len(predictions) == 5
    assert all(tokens[prediction["token"]] == prediction["token_str"] for prediction in predictions)
    assert all("c++" in prediction["sequence"] for prediction in predictions)


@pytest.mark.parametrize(
    ("settings", "with_effect"),
    [
        ({"temperature": 0.1}, {"objective": "pairs"}),
        ({"head_learning_rate": 0.1}, {"objective": "words"}),
        ({"base": "minilm", "distill_decay_share": 0.5}, {"distill_weight": 10.0}),
        ({"tag_pooling": "cls"}, {"probe_labels": "set"}),
        ({"objective": "causal", "mask_rate": 0.3}, {"objective": "masked_lm"}),
        ({"objective": "tags", "whole_words": True}, {"objective": "masked_lm"}),
        ({"objective": "pairs", "head_bias": "calibrated"}, {"objective": "causal"}),
        ({"decay": "1-sqrt"}, {"schedule": "wsd"}),
        ({"schedule": "constant", "decay_share": 0.5}, {"schedule": "wsd"}),
        ({"base": "minilm", "transfer_contexts": 3}, {"transfer": "distill"}),
        ({"transfer": "distill"}, {"base": "minilm"}),
        ({"new_token_rate": 2.0}, {"base": "minilm"}),
        ({"probe_texts": 9}, {"probe_labels": "set"}),
        ({"probe_labels": "set", "probe_patience": 0}, {"stop_by": "probe"}),
    ],
)
def test_settings_without_effect_are_told(settings, with_effect):
    name, value = list(settings.items())[-1]
    (note,) = unused_settings(config(**settings), True, False)
    assert note.startswith(f"{name} {value}: no effect; used only with ")
    assert not unused_settings(config(**settings | with_effect), True, False)


def test_what_needs_a_new_vocabulary_or_head_is_told_without_one():
    new = {"transfer": "random", "new_rows_first": 0.5, "embeddings_first": 0.2, "new_token_rate": 2.0}
    settings = config(base="minilm", head_bias="calibrated", **new)
    assert not unused_settings(settings, True, False)
    found = unused_settings(settings, False, True)
    assert {note.split()[0] for note in found} == {*new, "head_bias"}


def test_a_run_notes_settings_without_effect(small_rows, tmp_path):
    given = config(temperature=0.1, tokens=1, evaluations=0)
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", given)
    assert "temperature 0.1: no effect; used only with objective pairs" in made.counts["notes"]
