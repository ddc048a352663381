"""Distillation whose weight decays: each step has the weight of its number, however the run gets there."""

import math

import numpy as np
import pytest
import tensorflow as tf

from pretrain.model.encoder import Encoder
from pretrain.objectives.distillation import Distillation, DistillBatch, decayed, distill_losses
from pretrain.objectives.masked_lm import MaskedLM
from pretrain.objectives.objective import trained_weights
from pretrain.train.optimizer import scheduled_rate
from pretrain.train.phases import EMBEDDING_PREFIXES, Phases
from pretrain.train.replicas import Replicas
from pretrain.train.step import accumulate_gradients
from tests.pretrain.objectives.objective_runs import ObjectiveRuns, history, straight_run
from tests.pretrain.runs import STEPS, config, fingerprint
from tests.pretrain.tiny import VOCAB_SIZE, masked_batch, tiny_checkpoint

WEIGHT, TOTAL, SHARE = 10.0, 8, 0.75
WEIGHTS = WEIGHT * np.clip((TOTAL - np.arange(TOTAL)) / math.ceil(SHARE * TOTAL), 0, 1)
"""Of each step of a run of TOTAL."""
DECAYING = {
    "distill_weight": WEIGHT,
    "distill_decay_share": 0.9,
    "embeddings_first": 0.25,
    "learning_rate": 3e-3,
    "evaluations": STEPS - 1,
}
"""Settings of a run whose weight decays from step 2 of 24 on, and whose second phase begins at step 6."""
COMPILED = """
from pretrain.train.replicas import Replicas
Replicas.compiles_gradients = True
"""


def distill_batch() -> DistillBatch:
    """Four masked rows, and other texts for the teacher, so that their distance is large."""
    ids = tf.constant(np.random.default_rng(5).integers(5, VOCAB_SIZE, (4, 12)), tf.int32)
    return DistillBatch(*masked_batch(), ids, tf.ones_like(ids))


def tiny_encoder() -> Encoder:
    checkpoint = tiny_checkpoint("bert")
    return Encoder(checkpoint.architecture, checkpoint.weights)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("total", "share"), [(24, 0.25), (7, 0.5), (10, 1.0), (1, 0.1)])
def test_decay_is_linear_over_the_last_steps_and_that_of_a_learning_rate(total, share, compiled):
    decay = tf.function(lambda step: decayed(step, total, share), jit_compile=compiled, autograph=False)
    steps = np.arange(total + 1)
    found = [decay(tf.constant(step)).numpy() for step in steps]
    np.testing.assert_allclose(found, np.clip((total - steps) / math.ceil(total * share), 0, 1), rtol=1e-6)
    rates = [scheduled_rate("wsd", tf.constant(step), total, 0, 1.0, share) for step in steps]
    np.testing.assert_allclose(found, rates, rtol=1e-6)


@pytest.mark.parametrize("step", [0, 2, 3, 5, 7])
def test_loss_is_that_of_masked_tokens_plus_the_steps_weight_times_the_distance(step):
    encoder, teacher, batch = tiny_encoder(), tiny_encoder(), distill_batch()
    losses = Distillation(encoder, teacher, WEIGHT, SHARE).at_step(tf.constant(step), TOTAL).losses(batch)
    masked = MaskedLM(encoder).losses(masked_batch())
    hidden_BTH = encoder.hidden(batch.ids_BT, batch.segments_BT)
    distances_M = distill_losses(hidden_BTH, batch, teacher).numpy()
    distance = np.sum(distances_M * batch.weights_BP.numpy().ravel())
    assert distance > 1
    assert float(losses.total) == pytest.approx(float(masked.total) + WEIGHTS[step] * distance, rel=1e-5)
    np.testing.assert_allclose(losses.reported_K, [*masked.reported_K, distance], rtol=1e-5)


def test_each_step_of_each_phase_has_the_weight_of_its_number_in_the_run():
    encoder, teacher, batch = tiny_encoder(), tiny_encoder(), distill_batch()
    objective = Distillation(encoder, teacher, WEIGHT, SHARE)
    weights = trained_weights(encoder.weights, objective)
    phases = Phases(encoder, objective, config(learning_rate=1e-3), TOTAL, 4, Replicas())

    @tf.function(autograph=False)
    def norm(only_embeddings: bool, weight: tf.Tensor) -> tf.Tensor:
        """Of the gradient, with a weight that does not decay."""
        prefixes = EMBEDDING_PREFIXES if only_embeddings else ("",)
        variables = [weights[name] for name in weights if name.startswith(prefixes)]
        gradients, sums = accumulate_gradients(Distillation(encoder, teacher, weight), batch, variables, 0)
        return tf.linalg.global_norm(gradients) / sums[-2]

    for step in range(TOTAL):
        expected, at_full_weight = (
            float(norm(step < 4, tf.constant(weight, tf.float32))) for weight in (WEIGHTS[step], WEIGHT)
        )
        found = phases.at(step).execute(iter([batch]))[0]
        assert found.gradient_norm == pytest.approx(expected, rel=1e-4)
        assert (abs(at_full_weight / expected - 1) > 0.01) == (WEIGHTS[step] < WEIGHT)
        assert set(found.means) == {"loss", "accuracy", "distill_loss"}


def test_without_decay_the_objective_is_that_of_all_steps():
    objective = Distillation(tiny_encoder(), tiny_encoder(), WEIGHT)
    assert objective.at_step(tf.constant(TOTAL - 1), TOTAL) is objective


@pytest.fixture(scope="module")
def runs(small_rows, letters_base, tmp_path_factory) -> ObjectiveRuns:
    return straight_run(small_rows, letters_base, DECAYING, tmp_path_factory.mktemp("decaying"))


def test_a_run_is_that_without_decay_until_its_weight_decays(runs, tmp_path):
    found, constant = history(runs.straight), history(runs.run(tmp_path / "constant", distill_decay_share=0.0))
    assert [point["step"] for point in found] == list(range(STEPS + 1))
    for one, other in zip(found[:4], constant[:4], strict=True):  # the first step of the decay has the full weight
        assert one == pytest.approx(other, rel=1e-6)
    assert found[4]["distill_loss"] != constant[4]["distill_loss"]
    assert found[-1]["distill_loss"] > constant[-1]["distill_loss"]
    assert found[-1]["loss"] < constant[-1]["loss"]
    card = (runs.straight / "README.md").read_text()
    assert "weight 10, which decays to 0 over the last 90 % of the steps" in card


def test_runs_resumed_in_the_decay_equal_the_straight_one(runs, tmp_path, monkeypatch):
    runs.assert_resumable(tmp_path, monkeypatch, runs.straight)


@pytest.mark.parametrize("changes", [{"micro_batch_rows": 2}, {"steps_per_execution": 5, "evaluations": 1}])
def test_micro_batches_and_steps_of_one_execution_give_the_same(changes, runs, tmp_path):
    assert_same_points(runs.run(tmp_path / "run", **changes), runs)


@pytest.mark.slow
def test_xla_can_compile_the_whole_step(runs, tmp_path, monkeypatch):
    """As on one GPU."""
    monkeypatch.setattr(Replicas, "compiles_step", True)
    assert_same_points(runs.run(tmp_path / "run", steps_per_execution=5, evaluations=1), runs)


@pytest.mark.parametrize(
    ("devices", "is_compiled"),
    [(2, True), pytest.param(2, False, marks=pytest.mark.slow), pytest.param(4, False, marks=pytest.mark.slow)],
)
def test_devices_share_a_batch_also_where_xla_compiles_their_gradients(devices, is_compiled, runs, tmp_path):
    runs.assert_shared(tmp_path, devices, first=COMPILED if is_compiled else "")
    assert_same_points(tmp_path / "shared", runs)


def test_number_of_steps_can_be_that_of_a_time(runs, tmp_path, monkeypatch):
    from pretrain.train import trainer

    honest = trainer.step_seconds
    monkeypatch.setattr("pretrain.train.trainer.step_seconds", lambda *given: honest(*given) and 60 / STEPS)
    assert fingerprint(runs.run(tmp_path / "run", minutes=1.0)) == fingerprint(runs.straight)


def assert_same_points(out, runs: ObjectiveRuns) -> None:
    """All validation results of a run are those of the straight one, but for rounding."""
    straight = {point["step"]: point for point in history(runs.straight)}
    for point in history(out):
        assert point == pytest.approx(straight[point["step"]], rel=1e-5)
