"""What this machine computes with: which devices there are, and which precision is quicker."""

import time
from typing import Literal

import tensorflow as tf

Precision = Literal["auto", "float32", "bfloat16"]


def choose_dtype(precision: Precision) -> tf.DType:
    """The dtype of matrix products. 'auto' is bfloat16 on accelerators, and on a CPU whichever runs quicker here:

    some processors announce bfloat16 and multiply it at half the speed of float32, so it is timed, not looked up.
    """
    if precision != "auto":
        return tf.as_dtype(precision)
    if tf.config.list_physical_devices("GPU") or tf.config.list_logical_devices("TPU"):
        return tf.bfloat16
    seconds = {dtype: _product_seconds(dtype) for dtype in (tf.float32, tf.bfloat16)}
    # a quarter quicker at least: else the rounding is not worth it
    return tf.bfloat16 if seconds[tf.bfloat16] < 0.75 * seconds[tf.float32] else tf.float32


def whole_step_compiled() -> bool:
    """Whether the training step is one XLA program (accelerators) or products between islands (CPU)."""
    return bool(tf.config.list_physical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def _product_seconds(dtype: tf.DType) -> float:
    """Shortest of some timings of one feed-forward product of a small encoder, (2048 x 384) x (384 x 1536)."""
    a, b = tf.ones((2_048, 384), dtype), tf.ones((384, 1_536), dtype)
    product = tf.function(lambda a, b: tf.reduce_sum(tf.matmul(a, b)[:1, :1]))
    product(a, b)
    times = []
    for _ in range(8):
        start = time.perf_counter()
        product(a, b).numpy()
        times.append(time.perf_counter() - start)
    return min(times)
