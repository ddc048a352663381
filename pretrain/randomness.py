"""Random streams: functions of (seed, name, step), never of what ran before."""

import hashlib
from collections.abc import Sequence

import tensorflow as tf

GENERATOR = "philox"  # named, as the one that TensorFlow chooses differs between devices


def stream(seed: int, name: str, step: int | tf.Tensor = 0) -> tf.Tensor:
    """The seed, shape (2,) int32, of one named stream at one step, for TensorFlow's stateless functions."""
    key = int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest(), "little", signed=True)
    return tf.stack([tf.constant(key, tf.int32), tf.cast(step, tf.int32)])


def uniform(shape: Sequence[int], seed_2: tf.Tensor) -> tf.Tensor:
    """Uniform float32 numbers in [0, 1), multiples of 2^-24; the same eagerly, in tf.data and under XLA.

    Made from integers, as TensorFlow's own float numbers differ between eager and XLA.
    """
    bits = tf.random.stateless_uniform(shape, seed_2, None, None, tf.uint32, alg=GENERATOR)
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def uniform_integers(shape: Sequence[int], seed_2: tf.Tensor, end: int) -> tf.Tensor:
    """Uniform int32 numbers from 0 up to `end`, exclusive."""
    return tf.random.stateless_uniform(shape, seed_2, 0, end, tf.int32, alg=GENERATOR)
