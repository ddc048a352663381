"""One training step: it learns, and micro-batches add up to the batch."""

import numpy as np
import pytest
import tensorflow as tf

from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedLM
from pretrain.train.replicas import Replicas
from pretrain.train.step import TrainStep, accumulate_gradients, compile_step, num_micro_batches
from stackbert.core.errors import StackbertError
from tests.pretrain.runs import config
from tests.pretrain.tiny import masked_batch, tiny_checkpoint


@pytest.fixture
def encoder() -> Encoder:
    checkpoint = tiny_checkpoint("bert")
    return Encoder(checkpoint.architecture, checkpoint.weights)


def test_steps_on_one_batch_learn_it(encoder):
    batch = masked_batch()
    settings = config(learning_rate=1e-2)
    step = TrainStep(MaskedLM(encoder), list(encoder.weights.values()), 60, settings, Replicas())
    execute = compile_step(step, Replicas())
    losses = [execute(iter([batch]))[0].loss for _ in range(60)]
    assert losses[0] > 3
    assert losses[-1] < 0.2


def test_gradients_of_micro_batches_add_up_to_those_of_the_batch(encoder):
    variables, objective = list(encoder.weights.values()), MaskedLM(encoder)
    accumulate = tf.function(
        lambda batch, rows: accumulate_gradients(objective, batch, variables, rows), autograph=False
    )
    whole, parts = (accumulate(masked_batch(), rows) for rows in (0, 1))
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-5)
    for one, other in zip(whole[0], parts[0], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_sums_need_no_variables(encoder):
    objective, batch = MaskedLM(encoder), masked_batch()
    gradients, sums = accumulate_gradients(objective, batch, (), 0)
    losses = objective.losses(batch)
    assert gradients == []
    np.testing.assert_array_equal(sums, [*losses.reported_K, losses.count, batch.ids_BT.shape.num_elements()])


def test_micro_batches_far_smaller_than_configured_are_refused():
    assert [num_micro_batches(rows, 3) for rows in (3, 8, 9)] == [1, 4, 3]
    with pytest.raises(StackbertError, match="the 34 rows of a device divide into micro-batches of 2 at most"):
        num_micro_batches(34, 16)
