"""Contrastive learning on pairs: its losses and their gradients, in one pass and with cached gradients; its runs."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from corpora.post import read_posts
from finetune.config import CompareConfig
from finetune.trials.task import check_not_taught, load_task
from pretrain.config import MergeConfig
from pretrain.measure.config import PretrainPlanConfig
from pretrain.measure.plan import plan_pretraining
from pretrain.merge import merge_checkpoints
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.taught import load_taught
from pretrain.objectives.masked_lm import MaskedLM
from pretrain.objectives.objective import BatchObjective
from pretrain.objectives.pair_contrast import PairBatch, PairContrast, collate_pairs
from pretrain.randomness import stream
from pretrain.run import run_pretraining
from stackbert.core.errors import StackbertError
from tests.pretrain.objectives.objective_runs import (
    ObjectiveRuns,
    assert_trained,
    encoded,
    gradients_of,
    history,
    relative_difference,
    straight_run,
)
from tests.pretrain.objectives.pair_references import IDS, POOLINGS, REFERENCE, SEGMENTS, TEMPERATURE, torch_outputs
from tests.pretrain.runs import config
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.tagged import paired_set

NUM_PAIRS, MAX_PAIRS = 5, 2
PAIRED = {"objective": "pairs", "learning_rate": 2e-3, "batch_rows": 8, "tokens": 24 * 8 * 32}


def batch() -> PairBatch:
    return collate_pairs(tf.constant(IDS), tf.constant(SEGMENTS), stream(0, "any"))


def objective(pooling: str = "mean") -> tuple[Encoder, PairContrast]:
    checkpoint = tiny_checkpoint("bert")
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    return encoder, PairContrast(encoder, MAX_PAIRS, pooling, TEMPERATURE)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_loss_is_the_cross_entropy_of_the_partners_in_both_directions(pooling):
    encoder, contrast = objective(pooling)
    hidden = encoder.hidden(tf.constant(IDS), tf.constant(SEGMENTS)).numpy()
    texts = []
    for states, segments in zip(hidden, np.array(SEGMENTS), strict=True):
        for number in range(1, segments.max() + 1):
            own = states[segments == number]
            vectors = {"cls": own[0], "mean": own.mean(0)}
            vector = np.concatenate([vectors[name] for name in pooling.split("+")])
            texts.append(vector / np.linalg.norm(vector))
    logits = np.array(texts[::2]) @ np.array(texts[1::2]).T / TEMPERATURE
    expected, correct = 0.0, 0.0
    for table in (logits, logits.T):
        expected -= np.trace(table - np.log(np.exp(table).sum(1, keepdims=True))) / 2
        correct += np.sum(table.argmax(1) == np.arange(NUM_PAIRS)) / 2
    losses = contrast.losses(batch())
    np.testing.assert_allclose(losses.total, expected, rtol=1e-4)
    np.testing.assert_allclose(losses.reported_K, [expected, correct], rtol=1e-4)
    assert float(losses.count) == NUM_PAIRS


def test_accuracy_is_the_share_of_nearest_partners_in_both_directions():
    ones, others = [[1, 0], [0, 1]], [[1, 0], [0.9, 0.436]]  # the second of the others is nearer to the first one
    vectors = tf.constant(np.stack([ones, others], 1)[None], tf.float32)
    losses = objective()[1].losses_of_vectors(vectors)
    assert float(losses.reported_K[1] / losses.count) == (1 + 1 / 2) / 2


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("micro_batch_rows", [0, 1])
def test_loss_and_gradients_equal_those_of_pytorch(pooling, micro_batch_rows):
    stored = np.load(REFERENCE)
    found = gradients_of(*objective(pooling), batch(), micro_batch_rows)
    expected = {name.removeprefix(f"{pooling} "): stored[name] for name in stored if name.startswith(f"{pooling} ")}
    assert abs(found["sums"][0] - expected.pop("loss")) < 1e-4
    assert expected.keys() == found.keys() - {"sums"}
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-4, err_msg=name)


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_references_are_what_pytorch_computes():
    stored, computed = np.load(REFERENCE), torch_outputs()
    assert set(stored) == set(computed)
    for name, array in computed.items():
        np.testing.assert_allclose(stored[name], array, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("micro_batch_rows", [1, 2])
def test_cached_gradients_are_those_of_one_pass(micro_batch_rows):
    whole, cut = (gradients_of(*objective(), batch(), rows) for rows in (0, micro_batch_rows))
    assert relative_difference(cut, whole) < 1e-6


def test_rows_that_are_a_batch_of_their_own_have_fewer_negatives():
    _, contrast = objective()
    alone = [contrast.losses(PairBatch(*(each[n : n + 1] for each in batch()))) for n in range(len(IDS))]
    assert sum(float(each.total) for each in alone) < 0.9 * float(contrast.losses(batch()).total)
    assert sum(float(each.count) for each in alone) == NUM_PAIRS


def test_rows_without_pairs_change_nothing():
    _, contrast = objective()
    empty = PairBatch(*(tf.concat([each, tf.zeros_like(each)], 0) for each in batch()))
    for one, other in zip(contrast.losses(batch()), contrast.losses(empty), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_everything_but_the_mlm_head_has_a_gradient():
    encoder, contrast = objective()
    assert_trained(encoder, gradients_of(encoder, contrast, batch()), but="mlm/")


def test_only_an_objective_with_vectors_compares_the_whole_batch():
    encoder, contrast = objective()
    assert isinstance(contrast, BatchObjective)
    assert not isinstance(MaskedLM(encoder), BatchObjective)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return paired_set(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="module")
def runs(labelled, small_rows, headless_base, tmp_path_factory) -> ObjectiveRuns:
    folder = tmp_path_factory.mktemp("made")
    made = encoded(labelled, small_rows / "tokenizer", folder, targets="pairs", pair_tokens=8)
    return straight_run(made, headless_base, PAIRED, folder)


@pytest.fixture(scope="module")
def trained(runs) -> Path:
    return runs.straight


def test_a_run_learns_the_pairs(trained):
    first, *_, last = history(trained)
    assert last["loss"] < first["loss"] - 0.3
    assert last["accuracy"] > first["accuracy"] + 0.1
    assert "bits_per_byte" not in first
    card = (trained / "README.md").read_text()
    assert "contrastive learning on pairs of texts" in card and "nats per pair" in card


def test_the_encoder_is_exported_and_no_mlm_head_that_was_not_trained(trained, headless_base):
    before, after = load_checkpoint(headless_base), load_checkpoint(trained)
    assert not after.has_mlm_head
    assert all(np.any(after.weights[name] != array) for name, array in before.weights.items() if "mlm" not in name)


@pytest.mark.parametrize("micro_batch_rows", [0, 2])
def test_resumed_runs_equal_the_straight_one(micro_batch_rows, runs, tmp_path, monkeypatch):
    changes, straight = {"micro_batch_rows": micro_batch_rows}, runs.straight
    if micro_batch_rows:
        straight = runs.run(tmp_path / "straight", **changes)
        runs.assert_same_losses(straight)
    runs.assert_resumable(tmp_path, monkeypatch, straight, **changes)


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("micro_batch_rows", [0, 1])
def test_devices_share_a_batch(devices, micro_batch_rows, runs, tmp_path):
    runs.assert_shared(tmp_path, devices, micro_batch_rows=micro_batch_rows)


COMPILED = """
from pretrain.train.replicas import Replicas
Replicas.compiles_gradients = True
"""


@pytest.mark.parametrize("micro_batch_rows", [0, 2])
def test_xla_can_compile_the_passes_of_each_device(micro_batch_rows, runs, tmp_path):
    """As on several GPUs, whose exchange of vectors XLA cannot compile."""
    runs.assert_shared(tmp_path, 2, first=COMPILED, micro_batch_rows=micro_batch_rows)


def test_two_processes_share_a_run(runs, tmp_path):
    runs.assert_shared_by_processes(tmp_path)


def test_steps_of_one_execution_are_those_executed_one_by_one(runs, tmp_path):
    runs.assert_same_losses(runs.run(tmp_path / "run", micro_batch_rows=4, steps_per_execution=5))


def test_a_run_is_planned(runs):
    measured = PretrainPlanConfig(seconds=0.1)
    plan = plan_pretraining(runs.made / "rows", runs.made / "tokenizer", runs.config(micro_batch_rows=4), measured)
    assert plan.steps == 24 and plan.estimates[0].hours > 0


def test_rows_without_pairs_are_refused(small_rows, runs, tmp_path):
    with pytest.raises(StackbertError, match="objective pairs: the rows are no pairs of texts; encode them again"):
        replace(runs, made=small_rows).run(tmp_path / "run")


def test_what_was_taught_goes_with_the_checkpoint(trained, runs, tmp_path):
    taught = load_taught(trained)
    assert taught.tags == () and len(taught.keys_N) > 100
    run_pretraining(runs.made / "rows", runs.made / "tokenizer", tmp_path / "later", config(base=str(trained), steps=2))
    merge_checkpoints(trained, tmp_path / "later", tmp_path / "merged", MergeConfig(0.5))
    for folder in (tmp_path / "later", tmp_path / "merged"):
        np.testing.assert_array_equal(load_taught(folder).keys_N, taught.keys_N)


def test_a_comparison_refuses_a_checkpoint_that_was_taught_its_test_posts(trained, labelled):
    task = load_task(labelled, CompareConfig())
    check_not_taught("pairs", trained, task)
    posts = [post for post in read_posts(labelled / "pretraining") if post.text and post.kind == "question"][:3]
    for texts in ([post.whole_text.upper() for post in posts], [post.title for post in posts]):
        test = replace(task.splits["test"], texts=texts)
        with pytest.raises(StackbertError, match="words of 3 of the 3 test texts; adapt it with"):
            check_not_taught("pairs", trained, replace(task, splits=task.splits | {"test": test}))


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(StackbertError, match="distill_weight 10: goes with objective masked_lm only"):
        config(base="minilm", objective="pairs", distill_weight=10)
    with pytest.raises(StackbertError, match="temperature 0"):
        config(objective="pairs", temperature=0)
