"""Random streams: functions of (seed, name, step), never of what ran before."""

import hashlib

import tensorflow as tf


def stream(seed: int, name: str, step: int | tf.Tensor = 0) -> tf.Tensor:
    """The seed, shape (2,) int32, of one named stream at one step, for TensorFlow's stateless functions."""
    key = int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest(), "little", signed=True)
    return tf.stack([tf.constant(key, tf.int32), tf.cast(step, tf.int32)])
