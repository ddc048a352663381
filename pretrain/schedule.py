"""The learning rate of each step."""

import math

import tensorflow as tf

from pretrain.config import Schedule


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
