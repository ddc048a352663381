"""Causal language modelling: what a token sees, its losses and their gradients, and its runs."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretrain.measure.curves import read_curve
from pretrain.model.architecture import hugging_face_names
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.taught import KEYS_FILE
from pretrain.objectives.causal_lm import CausalBatch, CausalCollator, CausalLM
from pretrain.randomness import stream
from stackbert.core.errors import StackbertError
from tests.pretrain.objectives.causal_references import REFERENCE, STORED, torch_outputs
from tests.pretrain.objectives.objective_runs import (
    ObjectiveRuns,
    assert_trained,
    gradients_of,
    history,
    relative_difference,
    straight_run,
)
from tests.pretrain.runs import config
from tests.pretrain.tiny import CONFIGS, padded_batch, tiny_checkpoint

SPECIAL_IDS = (0, 1, 2, 3, 4)
IDS = [[2, 9, 11, 12, 3, 2, 12, 13, 3, 0], [2, 8, 8, 1, 7, 3, 0, 0, 0, 0]]
SEGMENTS = [[1, 1, 1, 1, 1, 2, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]]
FAMILIES = tuple(CONFIGS)
CAUSAL = {"objective": "causal", "learning_rate": 1e-2}
needs_torch = [
    pytest.mark.torch,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"),
]


def batch(ids: list[list[int]] = IDS, segments: list[list[int]] = SEGMENTS) -> CausalBatch:
    return CausalCollator(SPECIAL_IDS)(tf.constant(ids), tf.constant(segments), stream(0, "any"))


def encoder_of(family: str) -> Encoder:
    checkpoint = tiny_checkpoint(family)
    return Encoder(checkpoint.architecture, checkpoint.weights)


def reader_of(encoder: Encoder) -> Callable[..., np.ndarray]:
    """A function of ids and segments, (B, T) each, to causal states, (B, T, H)."""
    read = tf.function(lambda *rows: encoder.hidden(*rows, causal=True), autograph=False)
    return lambda *rows: read(*(tf.constant(each, tf.int32) for each in rows)).numpy()


def test_the_next_token_is_predicted_but_no_special_one_and_none_of_another_text():
    expected = [[1, 1, 1, 0, 0, 1, 1, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(batch().weights_BT, expected)
    nothing_between = batch([[9, 8, 7, 6]], [[1, 1, 2, 2]])
    np.testing.assert_array_equal(nothing_between.weights_BT, [[1, 0, 1, 0]])


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_sees_a_later_one_or_another_text(family):
    """Rows of 12 tokens: those of ModernBERT's local layers are read in blocks."""
    read, generator = reader_of(encoder_of(family)), np.random.RandomState(3)
    ids, segments = generator.randint(5, 48, (1, 12)), np.array([[1] * 7 + [2] * 4 + [0]])
    before = read(ids, segments)[0]
    for changed in range(11):
        other = ids.copy()
        other[0, changed] = 5 + (ids[0, changed] - 4) % 43
        is_same_T = np.all(read(other, segments)[0] == before, axis=-1)
        text = slice(changed, 7 if changed < 7 else 11)
        assert not is_same_T[changed], "a token sees itself"
        seen_by = np.flatnonzero(~is_same_T[:11])
        assert set(seen_by) <= set(range(text.start, text.stop)), f"token {changed} is seen by {seen_by}"
        assert len(seen_by) == text.stop - text.start, "all later tokens of its text see it, some through a layer"


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_texts_equal_each_text_alone(family):
    read, texts = reader_of(encoder_of(family)), [[7, 9, 30, 8], [12, 40, 41, 42, 5, 6], [33, 20]]
    segments = np.repeat([1, 2, 3, 0], [4, 6, 2, 2])[None]
    together = read([[*texts[0], *texts[1], *texts[2], 0, 0]], segments)[0]
    alone = [read([text], np.ones((1, len(text))))[0] for text in texts]
    np.testing.assert_allclose(together[:12], np.concatenate(alone), atol=1e-5)


def test_loss_is_the_cross_entropy_of_the_next_tokens():
    encoder = encoder_of("bert")
    states = reader_of(encoder)(IDS, SEGMENTS)
    expected, correct, count = 0.0, 0, 0
    for ids, hidden, weights in zip(np.array(IDS), states, batch().weights_BT.numpy(), strict=True):
        logits = encoder.mlm_logits(tf.constant(hidden)).numpy() + encoder.weights["mlm/bias"].numpy()
        for position in np.flatnonzero(weights):
            shares = logits[position] - np.log(np.exp(logits[position]).sum())
            expected -= shares[ids[position + 1]]
            correct += int(shares.argmax() == ids[position + 1])
            count += 1
    losses = CausalLM(encoder).losses(batch())
    np.testing.assert_allclose(losses.reported_K, [expected, correct], rtol=1e-5)
    assert float(losses.total) == float(losses.reported_K[0]) and float(losses.count) == count == 8


def stored(family: str) -> dict[str, np.ndarray]:
    found = np.load(REFERENCE)
    return {name: found[name] for name in found if name.startswith(f"{family} ")}


@pytest.mark.parametrize(
    ("reference", "family"),
    [pytest.param(stored, family, id=f"{family}-stored") for family in STORED]
    + [pytest.param(torch_outputs, family, id=f"{family}-live", marks=needs_torch) for family in FAMILIES],
)
def test_loss_and_gradients_equal_pytorch(reference, family):
    expected, padded, encoder = reference(family), padded_batch(family), encoder_of(family)
    found = gradients_of(encoder, CausalLM(encoder), batch(padded["ids"], padded["mask"]))
    assert abs(found["sums"][0] - expected.pop(f"{family} loss")) < 1e-4 * found["sums"][0]
    compared = 0
    for name, theirs in hugging_face_names(encoder.architecture).items():
        parts = np.split(found[name], len(theirs), axis=-1)
        for key, part in zip(theirs, parts, strict=True):
            gradient = expected.pop(f"{family} gradient {key}")
            ours = part.T if name.endswith("/kernel") else part
            np.testing.assert_allclose(ours, gradient, atol=1e-4 * max(1.0, np.abs(gradient).max()), err_msg=key)
            compared += 1
    assert compared > 10 and not expected


def test_all_weights_have_gradients_and_micro_batches_add_up():
    encoder = encoder_of("bert")
    whole, cut = (gradients_of(encoder, CausalLM(encoder), batch(), rows) for rows in (0, 1))
    assert_trained(encoder, whole, but="")
    assert relative_difference(cut, whole) < 1e-5


@pytest.fixture(scope="module")
def runs(small_rows, headless_base, tmp_path_factory) -> ObjectiveRuns:
    return straight_run(small_rows, headless_base, CAUSAL, tmp_path_factory.mktemp("causal"))


def test_a_run_learns_the_next_tokens(runs):
    first, *_, last = history(runs.straight)
    assert last["loss"] < first["loss"] - 0.3
    assert "bits_per_byte" not in first
    with pytest.raises(StackbertError, match="its objective masks no tokens"):
        read_curve(runs.straight)
    card = (runs.straight / "README.md").read_text()
    assert "causal language modelling" in card and "nats per predicted token" in card


def test_masks_go_on_from_the_encoder_and_the_head_that_it_trained(runs, headless_base, tmp_path):
    before, after = load_checkpoint(headless_base), load_checkpoint(runs.straight)
    assert after.has_mlm_head and not (runs.straight / KEYS_FILE).exists()
    changed = {name for name, array in after.weights.items() if np.any(array != before.weights[name])}
    assert changed == set(after.weights)
    later = ObjectiveRuns(runs.made, runs.straight, {}, Path()).run(tmp_path / "later", steps=2)
    assert "bits_per_byte" in history(later)[0]
    assert "the base has no MLM head" not in (later / "README.md").read_text()


def test_resumed_runs_equal_the_straight_one(runs, tmp_path, monkeypatch):
    runs.assert_resumable(tmp_path, monkeypatch, runs.straight)


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_devices_share_a_batch(devices, runs, tmp_path):
    runs.assert_shared(tmp_path, devices)


def test_distillation_goes_with_masked_tokens_only():
    with pytest.raises(StackbertError, match="distill_weight 10: goes with objective masked_lm only"):
        config(base="minilm", objective="causal", distill_weight=10)
