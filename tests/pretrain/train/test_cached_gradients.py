"""Gradient caching: the gradients of one pass over the whole batch, whatever the number of micro-batches."""

import numpy as np
import pytest
import tensorflow as tf

from pretrain.objectives.objective import BatchObjective
from pretrain.objectives.pair_contrast import PairBatch, PairContrast
from pretrain.objectives.text_vectors import normalized
from pretrain.train.cached_gradients import cached_gradients
from pretrain.train.replicas import Replicas

ROWS, TOKENS, WIDTH = 8, 5, 7


class LinearPairs(PairContrast):
    """Pairs of unit vectors, both from one product of a row's ids."""

    def __init__(self) -> None:
        self._temperature = 0.5
        self.kernel = tf.Variable(np.random.RandomState(0).normal(size=(TOKENS, WIDTH)).astype("f4"))

    def vectors(self, batch: PairBatch) -> tf.Tensor:
        x = tf.cast(batch.ids_BT, tf.float32) @ self.kernel
        return normalized(tf.stack([x, tf.sin(3 * x)], 1)[:, None])


@pytest.fixture
def batch() -> PairBatch:
    ids = tf.constant(np.random.RandomState(1).randint(1, 9, (ROWS, TOKENS)), tf.int32)
    return PairBatch(ids, tf.ones_like(ids))


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_gradients_and_sums_are_those_of_one_pass(count, batch):
    pairs = LinearPairs()
    assert isinstance(pairs, BatchObjective)
    with tf.GradientTape() as tape:
        losses = pairs.losses(batch)
    expected = tape.gradient(losses.total, pairs.kernel)
    compute = tf.function(
        lambda rows: cached_gradients(pairs, rows, [pairs.kernel], count, Replicas()), autograph=False
    )
    (gradient,), sums = compute(batch)
    assert float(tf.norm(gradient - expected) / tf.norm(expected)) < 1e-6
    np.testing.assert_allclose(sums, [*losses.reported_K, losses.count], rtol=1e-6)


def test_sums_need_no_variables(batch):
    pairs = LinearPairs()
    gradients, sums = cached_gradients(pairs, batch, (), 4, Replicas())
    assert gradients == []
    losses = pairs.losses(batch)
    np.testing.assert_allclose(sums, [*losses.reported_K, losses.count], rtol=1e-6)


@pytest.mark.parametrize("count", [2, 4])
def test_micro_batches_that_are_batches_of_their_own_would_have_other_gradients(count, batch):
    """The search for the fault: what adding up the losses of slices gives."""
    pairs = LinearPairs()
    size = ROWS // count
    with tf.GradientTape(persistent=True) as tape:
        whole = pairs.losses(batch).total
        slices = sum(
            pairs.losses(PairBatch(*(each[start : start + size] for each in batch))).total
            for start in range(0, ROWS, size)
        )
    expected, other = (tape.gradient(loss, pairs.kernel) for loss in (whole, slices))
    assert float(tf.norm(other - expected) / tf.norm(expected)) > 0.1
