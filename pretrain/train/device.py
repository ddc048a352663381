"""The precision of matrix products: bfloat16 where the hardware is faster at it."""

import statistics
import time
from collections.abc import Callable

import tensorflow as tf

from pretrain.config import Precision


def choose_dtype(precision: Precision, accelerated: bool | None = None) -> tf.DType:
    """The dtype of matrix products. 'auto' is bfloat16 on accelerators; on a CPU it is the faster of the two.

    On a CPU both are timed, since some processors announce bfloat16 and multiply it at half the speed of float32.
    `accelerated` says whether the products run on an accelerator; None: they do where the machine has one.
    """
    if precision != "auto":
        return tf.as_dtype(precision)
    if whole_step_compiled() if accelerated is None else accelerated:
        return tf.bfloat16
    # at least a quarter faster: a smaller gain is not worth the rounding
    return tf.bfloat16 if _time_ratio(tf.bfloat16, tf.float32) < 0.75 else tf.float32


def whole_step_compiled() -> bool:
    """Whether XLA compiles the whole training step (accelerators), or only its fused ops (CPU)."""
    return bool(tf.config.list_physical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def _time_ratio(first: tf.DType, second: tf.DType, pairs: int = 15) -> float:
    """Time of a small encoder's feed-forward product in `first` over that in `second`.

    The median over pairs of products, so that other work on the machine does not decide.
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
