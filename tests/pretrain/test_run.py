"""A pretraining run: learns, stops and goes on exactly, and writes a checkpoint that says from what it was made."""

import json
import signal

import numpy as np
import pytest
import tensorflow as tf

from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import Masker
from pretrain.randomness import stream
from pretrain.run import pretrain
from pretrain.train.state import RunState
from pretrain.train.step import MlmStep
from pretrain.train.trainer import TrainingError
from stackbert.core.artifact import SCRATCH
from stackbert.core.errors import StackbertError
from tests.pretrain.runs import STEPS, KilledError, config, fingerprint, killed_after, run_and_signal
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.reader import load_reader
from tokenizer.vocabulary.train import train_tokenizer


def test_run_says_from_what_it_was_made_and_what_it_reached(straight):
    manifest = json.loads((straight / "manifest.json").read_text())
    assert set(manifest["inputs"]) == {"rows", "tokenizer"}
    assert manifest["counts"]["steps"] == STEPS
    before, after = manifest["counts"]["held_out_before"], manifest["counts"]["held_out_after"]
    assert (before["step"], after["step"]) == (0, STEPS)
    assert before["bits_per_byte"] / before["loss"] == pytest.approx(after["bits_per_byte"] / after["loss"])
    assert not (straight / SCRATCH).exists()
    assert load_checkpoint(straight).has_mlm_head


def test_steps_on_one_batch_learn_it():
    checkpoint, generator = tiny_checkpoint("bert"), np.random.default_rng(2)
    ids = tf.constant(generator.integers(5, 48, (4, 12)), tf.int32)
    masker = Masker(48, (0, 1, 2, 3, 4), 4, 0.25)
    batch = masker.mask(ids, tf.ones_like(ids), stream(0, "mask"))
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    step = MlmStep(encoder, config(learning_rate=1e-2), total_steps=60)
    losses = [step.train(batch, number).loss for number in range(60)]
    assert losses[0] > 3
    assert losses[-1] < 0.2


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_stop_at_any_step_and_resume_gives_the_same_bytes(stop, straight, small_rows, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with killed_after(stop, monkeypatch):
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
    with pytest.raises(TrainingError, match="with a lower learning_rate"):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(learning_rate=1e8))


def test_rows_of_another_tokenizer_are_refused(small_rows, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in (small_rows / "tokenizer").iterdir():
        (other / path.name).write_text(path.read_text().replace("numpy", "numqy"))
    with pytest.raises(StackbertError, match="another tokenizer"):
        pretrain(small_rows / "rows", other, tmp_path / "run", config())


def test_rows_longer_than_the_base_reads_are_refused(small_rows, tiny_base, tmp_path):
    with pytest.raises(StackbertError, match="20 at most"):
        pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(base=str(tiny_base)))


def test_held_out_history_has_equal_masks_at_each_point(straight):
    history = json.loads((straight / "history.json").read_text())
    assert [point["step"] for point in history] == [0, STEPS // 2, STEPS]
    assert np.isfinite([point["loss"] for point in history]).all()


def test_kill_9_in_the_middle_and_resume_gives_the_weights_of_the_straight_run(straight, small_rows, tmp_path):
    settings = vars(config(save_seconds=0.0))
    code = run_and_signal(small_rows, tmp_path / "run", settings, signal.SIGKILL, f"{SCRATCH}/ckpt-7.index")
    assert code == -signal.SIGKILL
    assert not (tmp_path / "run").exists()
    pretrain(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config(save_seconds=0.0))
    assert fingerprint(tmp_path / "run") == fingerprint(straight)


def test_sigterm_saves_the_state_and_exits_75(small_rows, tmp_path):
    settings = vars(config(tokens=100_000 * 4 * 32))  # far longer than the test waits
    code = run_and_signal(small_rows, tmp_path / "run", settings, signal.SIGTERM, "history.json")
    assert code == 75
    assert not (tmp_path / "run").exists()
    assert list((tmp_path / "run.partial" / SCRATCH).glob("ckpt-*.index"))


def test_embeddings_first_leaves_the_body_as_it_was(small_rows):
    checkpoint = tiny_checkpoint("bert")
    ids = tf.constant(np.random.default_rng(2).integers(5, 48, (4, 12)), tf.int32)
    batch = Masker(48, (0, 1, 2, 3, 4), 4, 0.25).mask(ids, tf.ones_like(ids), stream(0, "mask"))
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    step = MlmStep(encoder, config(learning_rate=1e-2), total_steps=6, embedding_steps=3)
    before = encoder.numpy_weights()
    for number in range(3):
        step.train(batch, number)
    after = encoder.numpy_weights()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(("embeddings/word", "mlm/"))}
    step.train(batch, 3)
    assert not np.array_equal(after["layer_0/attention/qkv/kernel"], encoder.weights["layer_0/attention/qkv/kernel"])
    assert step.done == 4


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_stop_around_the_end_of_the_embeddings_first_gives_the_same_bytes(
    stop, small_rows, tiny_base, tmp_path, monkeypatch
):
    new = tmp_path / "vocabulary"
    train_tokenizer(small_rows / "corpus", new, TokenizerConfig(vocab_size=100))
    encode_rows(small_rows / "corpus", new, tmp_path / "rows", EncodeConfig(row_length=16, validation_share=0.1))
    settings = config(base=str(tiny_base), embeddings_first=0.125, transfer="similar")
    pretrain(tmp_path / "rows", new, tmp_path / "straight", settings)
    with killed_after(stop, monkeypatch):
        pretrain(tmp_path / "rows", new, tmp_path / "run", settings)
    pretrain(tmp_path / "rows", new, tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "straight")


@pytest.mark.torch
def test_fill_mask_of_pytorch_transformers_reads_tokenizer_and_checkpoint(straight):
    pytest.importorskip("torch")
    from transformers import pipeline

    guesses = pipeline("fill-mask", model=str(straight))("how to connect to [MASK] from c++")
    tokens = load_reader(straight).tokens()
    assert len(guesses) == 5
    assert all(tokens[guess["token"]] == guess["token_str"] for guess in guesses)
    assert all("c++" in guess["sequence"] for guess in guesses)
