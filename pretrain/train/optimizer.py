"""AdamW with norm clipping and skipping of gradient spikes, and its learning-rate schedules."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pretrain.config import Decay, PretrainConfig, Schedule
from pretrain.ops.fused_ops import fused_op

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-6  # BERT's
NORM_MEMORY = 0.98  # of the running mean of gradient norms: about 50 steps
RateOfStep = Callable[[tf.Tensor], tf.Tensor]
"""The learning rate of a step, from its number (from 0)."""
RateFactor = float | Callable[[tf.Tensor], tf.Tensor]
"""What multiplies the learning rate, or the function of the rate that gives it."""
GUARDED_FROM = 50  # steps; before them the running mean is too uncertain to tell a spike


class _Factors(NamedTuple):
    """Scalars of an update, beside the gradient."""

    is_applied: tf.Tensor
    """False: the update is skipped."""
    scale: tf.Tensor
    """Of the gradient: clipping and the divisor."""
    rate: tf.Tensor
    corrected_rate: tf.Tensor
    """The rate with the moments' bias corrected."""

    def with_rate_factor(self, factor: float | tf.Tensor) -> "_Factors":
        return self._replace(rate=factor * self.rate, corrected_rate=factor * self.corrected_rate)


class AdamW(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).

    Gradients are first clipped by their global norm. Vectors (biases, LayerNorm) do not decay. An update is skipped
    where its gradient norm is not finite or, from step 50 on, exceeds `spike_factor` times the running mean of the
    norms (0: no limit). `rates` multiply the learning rate of each variable. The module's variables hold its complete
    state. Replicas that share a batch call `apply` with the same gradients.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        weight_decay: float,
        clip_norm: float,
        spike_factor: float = 0.0,
        rates: Sequence[RateFactor] = (),
    ) -> None:
        super().__init__(name="adamw")
        self._variables = tuple(variables)
        self._rates = tuple(rates) or (1.0,) * len(variables)
        self._weight_decay, self._clip_norm = weight_decay, clip_norm
        self._spike_factor = spike_factor or math.inf
        self.steps = tf.Variable(0, dtype=tf.int64, name="steps")
        self.skipped_updates = tf.Variable(0, dtype=tf.int64, name="skipped_updates")
        self.norm_mean = tf.Variable(0.0, name="norm_mean")
        self.means = [tf.Variable(tf.zeros(v.shape), name="mean") for v in variables]
        self.squares = [tf.Variable(tf.zeros(v.shape), name="square") for v in variables]

    @property
    def state(self) -> list[tf.Variable]:
        """All that a step reads and changes, except the variables that it trains."""
        return [self.steps, self.skipped_updates, self.norm_mean, *self.means, *self.squares]

    def reset(self) -> None:
        """Set the state to that before the first step."""
        for variable in self.state:
            variable.assign(tf.zeros_like(variable))

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor, divisor: tf.Tensor | float = 1.0) -> tf.Tensor:
        """Update the variables with `gradients` / `divisor`; returns that gradient's global norm before clipping."""
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense) / divisor
        done, mean = self.steps.read_value(), self.norm_mean.read_value()
        is_spike = (done >= GUARDED_FROM) & (norm > self._spike_factor * mean)
        is_applied = tf.math.is_finite(norm) & ~is_spike
        count = tf.cast(done + 1, tf.float32)
        corrected_rate = rate * tf.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        clip = tf.minimum(1.0, self._clip_norm / tf.maximum(norm, 1e-12))
        factors = _Factors(is_applied, clip / divisor, rate, corrected_rate)
        # computed here, because within merge_call the scalars are values of all replicas
        by_rate = {
            each: factors if each == 1 else factors.with_rate_factor(each(rate) if callable(each) else each)
            for each in dict.fromkeys(self._rates)
        }
        # a spike raises the mean by its limit at most, so that norms that stay high are accepted after some steps
        observed = tf.where(is_spike, self._spike_factor * mean, tf.where(is_applied, norm, mean))
        new_mean = tf.where(done > 0, NORM_MEMORY * mean + (1 - NORM_MEMORY) * observed, observed)
        tf.distribute.get_replica_context().merge_call(self._update, (dense, tuple(by_rate.values()), new_mean))
        return norm

    def _update(
        self,
        strategy: tf.distribute.Strategy,
        gradients: Sequence[tf.Tensor],
        factors: Sequence[_Factors],
        norm_mean: tf.Tensor,
    ) -> None:
        """Update every replica's copy of the variables on its own device; `factors` are those of each distinct rate."""
        by_rate = dict(zip(dict.fromkeys(self._rates), factors, strict=True))
        each = zip(self._variables, gradients, self.means, self.squares, self._rates, strict=True)
        for variable, gradient, mean, square, rate in each:
            strategy.extended.update(variable, self._update_one, (mean, square, gradient, by_rate[rate]))
        strategy.extended.update(self.steps, _add, (1,))
        strategy.extended.update(self.skipped_updates, _count_unless, (factors[0].is_applied,))
        strategy.extended.update(self.norm_mean, _assign, (norm_mean,))

    def _update_one(
        self, variable: tf.Variable, mean: tf.Variable, square: tf.Variable, gradient: tf.Tensor, factors: _Factors
    ) -> None:
        decay = factors.rate * (self._weight_decay if len(variable.shape) > 1 else 0.0)
        old = variable.read_value(), mean.read_value(), square.read_value()
        new = _updated(*old, gradient, factors.is_applied, factors.scale, factors.corrected_rate, decay)
        for target, value in zip((variable, mean, square), new, strict=True):
            target.assign(value)


@fused_op
def _updated(
    value: tf.Tensor,
    mean: tf.Tensor,
    square: tf.Tensor,
    gradient: tf.Tensor,
    is_applied: tf.Tensor,
    scale: tf.Tensor,
    rate: tf.Tensor,
    decay: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """A variable and its two moments after an update, or as they were."""
    scaled = gradient * scale
    new_mean = BETA_1 * mean + (1 - BETA_1) * scaled
    new_square = BETA_2 * square + (1 - BETA_2) * tf.square(scaled)
    new_value = value - rate * new_mean / (tf.sqrt(new_square) + EPSILON) - decay * value
    return (
        tf.where(is_applied, new_value, value),
        tf.where(is_applied, new_mean, mean),
        tf.where(is_applied, new_square, square),
    )


def _add(variable: tf.Variable, amount: int) -> None:
    variable.assign_add(amount)


def _count_unless(variable: tf.Variable, condition: tf.Tensor) -> None:
    variable.assign_add(tf.cast(~condition, variable.dtype))


def _assign(variable: tf.Variable, value: tf.Tensor) -> None:
    variable.assign(value)


def scheduled_rate(
    schedule: Schedule,
    step: tf.Tensor,
    total_steps: int,
    warmup_steps: int,
    peak: float,
    decay_share: float = 0.2,
    decay: Decay = "linear",
) -> tf.Tensor:
    """Learning rate of step number `step` (from 0): linear warm-up to `peak`, then decay to 0 after the last step.

    'linear' decays linearly and 'cosine' as half a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983). 'wsd' stays
    at the peak and decays over the last `decay_share` of all steps (warm-up, stable, decay: Hu et al. 2024, arXiv
    2404.06395), linearly or with `decay` '1-sqrt' (Hägele et al. 2024, arXiv 2405.18392, section 3.2). 'constant' stays
    at the peak.

    >>> [round(float(scheduled_rate("wsd", tf.constant(n), 10, 2, 1.0)), 2) for n in (0, 1, 5, 8, 9, 10)]
    [0.5, 1.0, 1.0, 1.0, 0.5, 0.0]
    >>> [round(float(scheduled_rate("wsd", tf.constant(n), 10, 2, 1.0, 0.4, "1-sqrt")), 2) for n in (6, 7, 8, 9, 10)]
    [1.0, 0.5, 0.29, 0.13, 0.0]
    """
    done = tf.cast(step, tf.float32)
    rising = (done + 1) / max(warmup_steps, 1)
    if schedule == "constant":
        return peak * tf.minimum(rising, 1.0)
    falling_steps = total_steps - warmup_steps
    if schedule == "wsd":
        falling_steps = min(falling_steps, math.ceil(total_steps * decay_share))
    left = tf.clip_by_value((total_steps - done) / max(falling_steps, 1), 0.0, 1.0)
    falling = 0.5 * (1 - tf.cos(math.pi * left)) if schedule == "cosine" else left
    if schedule == "wsd" and decay == "1-sqrt":
        falling = 1 - tf.sqrt(1 - left)
    return peak * tf.clip_by_value(tf.minimum(rising, falling), 0.0, 1.0)


def configured_rate(config: PretrainConfig, num_steps: int) -> RateOfStep:
    """The rates of a run, or of one of its phases, of `num_steps` steps: those of `scheduled_rate`."""
    warmup_steps = math.ceil(num_steps * config.warmup_share)

    def rate_of(step: tf.Tensor) -> tf.Tensor:
        shape = config.learning_rate, config.decay_share, config.decay
        return scheduled_rate(config.schedule, step, num_steps, warmup_steps, *shape)

    return rate_of


def rising_rate(low: float, high: float, num_steps: int) -> RateOfStep:
    """Rates that rise geometrically from `low` at the first of `num_steps` steps to `high` at the last.

    >>> rate_of = rising_rate(1e-4, 1e-2, 3)
    >>> [f"{float(rate_of(tf.constant(step))):g}" for step in range(3)]
    ['0.0001', '0.001', '0.01']
    """
    rates = np.geomspace(low, high, num_steps).astype(np.float32)
    return lambda step: tf.gather(tf.constant(rates), step)
