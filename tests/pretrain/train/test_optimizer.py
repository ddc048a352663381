"""AdamW and its schedule."""

import numpy as np
import pytest
import tensorflow as tf

from pretrain.train.optimizer import BETA_1, BETA_2, EPSILON, AdamW, rising_rate, scheduled_rate


def test_two_steps_by_hand():
    kernel, bias = tf.Variable([[1.0, -2.0]]), tf.Variable([0.5])
    optimizer = AdamW([kernel, bias], weight_decay=0.1, clip_norm=1.0)
    value, mean, square = np.array([1.0, -2.0, 0.5]), np.zeros(3), np.zeros(3)
    decay = np.array([0.1, 0.1, 0.0])
    for step, gradient in enumerate(([3.0, 0.0, 4.0], [0.1, 0.2, 0.2]), 1):
        norm = optimizer.apply([tf.constant([gradient[:2]]), tf.constant(gradient[2:])], tf.constant(0.01))
        assert float(norm) == pytest.approx(np.linalg.norm(gradient))
        clipped = np.array(gradient) / max(1.0, np.linalg.norm(gradient))
        mean = BETA_1 * mean + (1 - BETA_1) * clipped
        square = BETA_2 * square + (1 - BETA_2) * clipped**2
        corrected = 0.01 * np.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        value = value - corrected * mean / (np.sqrt(square) + EPSILON) - 0.01 * decay * value
        np.testing.assert_allclose(np.append(kernel.numpy(), bias.numpy()), value, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "wsd"])
def test_rate_rises_to_the_peak_and_falls_to_nothing(schedule):
    rates = [float(scheduled_rate(schedule, tf.constant(step), 10, 2, 1.0)) for step in range(11)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[9] > 0
    assert rates[10] == pytest.approx(0, abs=1e-7)


def test_a_constant_rate_stays_at_the_peak_after_its_warm_up():
    rates = [float(scheduled_rate("constant", tf.constant(step), 10, 2, 3.0)) for step in range(11)]
    assert rates == [1.5, *[3.0] * 10]


def test_one_minus_square_root_falls_from_the_peak_to_nothing_within_the_decay():
    rates = [float(scheduled_rate("wsd", tf.constant(step), 20, 2, 1.0, 0.5, "1-sqrt")) for step in range(21)]
    assert rates[:11] == [0.5, *[1.0] * 10]
    np.testing.assert_allclose(rates[10:], 1 - np.sqrt(np.arange(11) / 10), atol=1e-6)


def test_a_phase_can_be_decay_alone():
    rates = [float(scheduled_rate("wsd", tf.constant(step), 4, 0, 1.0, 1.0, "1-sqrt")) for step in range(4)]
    np.testing.assert_allclose(rates, 1 - np.sqrt(np.arange(4) / 4), atol=1e-6)


def test_cosine_is_halfway_down_halfway_through():
    assert float(scheduled_rate("cosine", tf.constant(6), 10, 2, 1.0)) == pytest.approx(0.5)


@pytest.mark.parametrize("compiled", [False, True])
def test_rising_rates_are_geometric_also_within_a_compiled_step(compiled):
    step, rate_of = tf.Variable(0, dtype=tf.int64), rising_rate(1e-6, 1e-2, 9)
    rate = tf.function(lambda: rate_of(step), jit_compile=compiled, autograph=False)
    found = []
    for _ in range(9):
        found.append(rate().numpy())
        step.assign_add(1)
    np.testing.assert_array_equal(np.array(found), np.geomspace(1e-6, 1e-2, 9).astype("f4"))


def test_a_rate_of_its_own_does_not_depend_on_the_others():
    """A factor that is a function of the rate: the weight moves as with a constant rate of 0.5."""
    alone, own, other = (tf.Variable([[1.0]]) for _ in range(3))
    first = AdamW([own, other], 0.1, 1e9, rates=[lambda rate: 0.5 / rate, 1.0])
    second = AdamW([alone], 0.1, 1e9)
    for rate in (1e-3, 1e-2, 1e-1):
        first.apply([tf.constant([[1.0]])] * 2, tf.constant(rate))
        second.apply([tf.constant([[1.0]])], tf.constant(0.5))
    np.testing.assert_allclose(own.numpy(), alone.numpy(), rtol=1e-5)
    assert abs(other.numpy().item() - 1) < 0.2


def test_updates_with_spikes_and_non_finite_gradients_are_skipped_and_counted():
    weight = tf.Variable([1.0, 2.0])
    optimizer = AdamW([weight], weight_decay=0.0, clip_norm=1.0, spike_factor=5.0)

    def step(norm: float) -> bool:
        """Whether the step changed the weights."""
        before = weight.numpy()
        optimizer.apply([tf.constant([norm, 0.0])], tf.constant(1e-3))
        return not np.array_equal(before, weight.numpy())

    assert step(1.0)
    assert step(20.0), "no mean is known yet"
    assert all(step(1.0) for _ in range(100))
    assert float(optimizer.norm_mean) < 2.0
    moments = optimizer.means[0].numpy()
    assert not step(20.0)
    assert not step(float("nan"))
    np.testing.assert_array_equal(optimizer.means[0].numpy(), moments)
    assert int(optimizer.skipped_updates) == 2
    assert step(1.0)
    assert np.isfinite(weight.numpy()).all()


def test_gradients_that_stay_large_are_accepted_after_some_steps():
    weight = tf.Variable([1.0])
    optimizer = AdamW([weight], weight_decay=0.0, clip_norm=1.0, spike_factor=5.0)
    for norm in [1.0] * 60 + [100.0] * 100:
        optimizer.apply([tf.constant([norm])], tf.constant(1e-3))
    assert 1 < int(optimizer.skipped_updates) < 60
    assert float(optimizer.norm_mean) > 20
