"""AdamW with decoupled decay, clipping, and a guard against gradients out of all proportion."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from pretrain.config import Schedule
from pretrain.model.fused_ops import island

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-6  # BERT's
NORM_MEMORY = 0.98  # of the running mean of gradient norms: some 50 steps
GUARDED_FROM = 50  # steps before which no mean is known well enough to judge by


class _Factors(NamedTuple):
    """What an update takes beside the gradient; scalars."""

    keep: tf.Tensor
    """Whether the update is made at all."""
    scale: tf.Tensor
    """Of the gradient."""
    rate: tf.Tensor
    corrected: tf.Tensor
    """The rate with the moments' bias taken out."""

    def slower(self, factor: float) -> "_Factors":
        return self._replace(rate=factor * self.rate, corrected=factor * self.corrected)


class AdamW(tf.Module):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).

    Gradients are clipped by their global norm first. Decay is not applied to vectors (biases, LayerNorm). An update
    is left out where its gradient's norm is not a number or, from step 50 on, more than `spike_factor` times the
    running mean of the norms (0: however large). `rates` are factors on the rate of each variable. All that the updates
    depend on is in the module's variables, so its state is complete in a checkpoint. Replicas that share a batch call
    `apply` with the same gradients.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        weight_decay: float,
        clip_norm: float,
        spike_factor: float = 0.0,
        rates: Sequence[float] = (),
    ):
        super().__init__(name="adamw")
        self._variables = tuple(variables)
        self._rates = tuple(rates) or (1.0,) * len(variables)
        self._weight_decay, self._clip_norm = weight_decay, clip_norm
        self._spike_factor = spike_factor or math.inf
        self.steps = tf.Variable(0, dtype=tf.int64, name="steps")
        self.left_out = tf.Variable(0, dtype=tf.int64, name="left_out")
        self.norm_mean = tf.Variable(0.0, name="norm_mean")
        self.means = [tf.Variable(tf.zeros(v.shape), name="mean") for v in variables]
        self.squares = [tf.Variable(tf.zeros(v.shape), name="square") for v in variables]

    @property
    def state(self) -> list[tf.Variable]:
        """All that a step depends on and changes, beside the variables it trains."""
        return [self.steps, self.left_out, self.norm_mean, *self.means, *self.squares]

    def reset(self) -> None:
        """Forget all steps."""
        for variable in self.state:
            variable.assign(tf.zeros_like(variable))

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor, divisor: tf.Tensor | float = 1.0) -> tf.Tensor:
        """Update the variables with `gradients` / `divisor`; returns that gradient's global norm before clipping."""
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense) / divisor
        done, mean = self.steps.read_value(), self.norm_mean.read_value()
        is_spike = (done >= GUARDED_FROM) & (norm > self._spike_factor * mean)
        keep = tf.math.is_finite(norm) & ~is_spike
        count = tf.cast(done + 1, tf.float32)
        corrected = rate * tf.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        clip = tf.minimum(1.0, self._clip_norm / tf.maximum(norm, 1e-12))
        factors = _Factors(keep, clip / divisor, rate, corrected)
        # a spike raises the mean too, by no more than its limit: what stays high is let through in the end
        seen = tf.where(is_spike, self._spike_factor * mean, tf.where(keep, norm, mean))
        new_mean = tf.where(done > 0, NORM_MEMORY * mean + (1 - NORM_MEMORY) * seen, seen)
        tf.distribute.get_replica_context().merge_call(self._update, (dense, factors, new_mean))
        return norm

    def _update(
        self, strategy: tf.distribute.Strategy, gradients: Sequence[tf.Tensor], factors: _Factors, norm_mean: tf.Tensor
    ) -> None:
        """Update every replica's copy of the variables on its own device."""
        each = zip(self._variables, gradients, self.means, self.squares, self._rates, strict=True)
        for variable, gradient, mean, square, rate in each:
            own = factors if rate == 1 else factors.slower(rate)
            strategy.extended.update(variable, self._update_one, (mean, square, gradient, own))
        strategy.extended.update(self.steps, _add, (1,))
        strategy.extended.update(self.left_out, _count_unless, (factors.keep,))
        strategy.extended.update(self.norm_mean, _assign, (norm_mean,))

    def _update_one(
        self, variable: tf.Variable, mean: tf.Variable, square: tf.Variable, gradient: tf.Tensor, factors: _Factors
    ) -> None:
        decay = factors.rate * (self._weight_decay if len(variable.shape) > 1 else 0.0)
        old = variable.read_value(), mean.read_value(), square.read_value()
        new = _updated(*old, gradient, factors.keep, factors.scale, factors.corrected, decay)
        for target, value in zip((variable, mean, square), new, strict=True):
            target.assign(value)


@island
def _updated(value, mean, square, gradient, keep, scale, rate, decay):
    scaled = gradient * scale
    new_mean = BETA_1 * mean + (1 - BETA_1) * scaled
    new_square = BETA_2 * square + (1 - BETA_2) * tf.square(scaled)
    new_value = value - rate * new_mean / (tf.sqrt(new_square) + EPSILON) - decay * value
    return tf.where(keep, new_value, value), tf.where(keep, new_mean, mean), tf.where(keep, new_square, square)


def _add(variable: tf.Variable, amount: int) -> None:
    variable.assign_add(amount)


def _count_unless(variable: tf.Variable, keep: tf.Tensor) -> None:
    variable.assign_add(tf.cast(~keep, variable.dtype))


def _assign(variable: tf.Variable, value: tf.Tensor) -> None:
    variable.assign(value)


def scheduled_rate(
    schedule: Schedule, step: tf.Tensor, total_steps: int, warmup_steps: int, peak: float, decay_share: float = 0.2
) -> tf.Tensor:
    """The rate of a step (from 0): up linearly over the warm-up, then down, to 0 just after the last step.

    'linear' falls evenly; 'cosine' slowly at both ends (Loshchilov and Hutter 2017, arXiv 1608.03983); 'wsd' stays at
    the peak and falls evenly over the last `decay_share` of all steps (warm-up, stable, decay: Hu et al. 2024, arXiv
    2404.06395).

    >>> [round(float(scheduled_rate("wsd", tf.constant(n), 10, 2, 1.0)), 2) for n in (0, 1, 5, 8, 9, 10)]
    [0.5, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    done = tf.cast(step, tf.float32)
    rising = (done + 1) / max(warmup_steps, 1)
    falling_steps = total_steps - warmup_steps
    if schedule == "wsd":
        falling_steps = min(falling_steps, math.ceil(total_steps * decay_share))
    left = tf.clip_by_value((total_steps - done) / max(falling_steps, 1), 0.0, 1.0)
    falling = 0.5 * (1 - tf.cos(math.pi * left)) if schedule == "cosine" else left
    return peak * tf.clip_by_value(tf.minimum(rising, falling), 0.0, 1.0)
