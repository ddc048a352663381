"""What this machine computes with: which devices there are, and which precision is quicker."""

import statistics
import time
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

Precision = Literal["auto", "float32", "bfloat16"]


def choose_dtype(precision: Precision, accelerated: bool | None = None) -> tf.DType:
    """The dtype of matrix products. 'auto' is bfloat16 on accelerators, and on a CPU whichever runs quicker here:

    some processors announce bfloat16 and multiply it at half the speed of float32, so it is timed, not looked up.
    `accelerated` says which of them it is for; None: an accelerator where there is one.
    """
    if precision != "auto":
        return tf.as_dtype(precision)
    if whole_step_compiled() if accelerated is None else accelerated:
        return tf.bfloat16
    # a quarter quicker at least: else the rounding is not worth it
    return tf.bfloat16 if _time_ratio(tf.bfloat16, tf.float32) < 0.75 else tf.float32


def whole_step_compiled() -> bool:
    """Whether the training step is one XLA program (accelerators) or products between islands (CPU)."""
    return bool(tf.config.list_physical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def _time_ratio(first: tf.DType, second: tf.DType, pairs: int = 15) -> float:
    """Time of a feed-forward product of a small encoder in `first` over that in `second`.

    Taken in pairs, and the median pair given, so that other work on the machine does not decide.
    """
    product = tf.function(tf.matmul)
    operands = {dtype: (tf.ones((2_048, 384), dtype), tf.ones((384, 1_536), dtype)) for dtype in (first, second)}
    for pair in operands.values():
        product(*pair)
    return statistics.median(
        _seconds(product, operands[first]) / _seconds(product, operands[second]) for _ in range(pairs)
    )


def _seconds(product: Callable[..., tf.Tensor], operands: tuple[tf.Tensor, tf.Tensor]) -> float:
    start = time.perf_counter()
    product(*operands)
    return time.perf_counter() - start
