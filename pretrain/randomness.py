"""Random streams: functions of (seed, name, step, row), never of what ran before, nor of who draws them."""

import hashlib
from collections.abc import Sequence

import tensorflow as tf

# S the parts of a stream: its name's key, its step, and the row of the step's batch that it begins at

GENERATOR = "philox"  # named, as the one that TensorFlow chooses differs between devices
PHILOX = tf.random.Algorithm.PHILOX.value
NUMBERS_A_COUNT = 4  # of 32 bits, that Philox gives for each count


def stream(seed: int, name: str, step: int | tf.Tensor = 0, first_row: int | tf.Tensor = 0) -> tf.Tensor:
    """One named stream at one step, (S,) int32.

    Row n of what is drawn from it is the batch's row `first_row` + n: who draws some rows of a batch draws the very
    numbers that one who draws all of it has there.
    """
    key = int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest(), "little", signed=True)
    return tf.stack([tf.constant(key, tf.int32), tf.cast(step, tf.int32), tf.cast(first_row, tf.int32)])


def split(stream_S: tf.Tensor, number: int) -> list[tf.Tensor]:
    """So many streams that have nothing in common, each (S,), beginning at the same row."""
    seeds = tf.random.split(stream_S[:2], number, alg=GENERATOR)
    return [tf.concat([seeds[n], stream_S[2:]], 0) for n in range(number)]


def uniform(shape: Sequence[int], stream_S: tf.Tensor) -> tf.Tensor:
    """Uniform float32 numbers in [0, 1), multiples of 2^-24; (rows, numbers a row), the same eagerly and under XLA."""
    bits = tf.bitwise.right_shift(_bits(shape, stream_S), tf.constant(8, tf.uint32))
    return tf.cast(bits, tf.float32) * 2.0**-24


def uniform_integers(shape: Sequence[int], stream_S: tf.Tensor, end: int) -> tf.Tensor:
    """Uniform int32 numbers from 0 up to `end`, exclusive; (rows, numbers a row).

    The remainder of 32 random bits: the first numbers are likelier by a share of end / 2^32, at most.
    """
    return tf.cast(_bits(shape, stream_S) % tf.constant(end, tf.uint32), tf.int32)


def _bits(shape: Sequence[int], stream_S: tf.Tensor) -> tf.Tensor:
    rows, numbers = shape
    counts = -(-numbers // NUMBERS_A_COUNT)  # each row begins at a count of its own, whatever was drawn before it
    key_2 = tf.bitcast(stream_S[:2], tf.uint32)
    key = tf.cast(key_2[0], tf.uint64) * tf.constant(2**32, tf.uint64) + tf.cast(key_2[1], tf.uint64)
    first = tf.cast(stream_S[2], tf.uint64) * tf.constant(counts, tf.uint64)
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=(rows, counts * NUMBERS_A_COUNT),
        key=key[None],
        counter=tf.stack([first, tf.zeros_like(first)]),
        alg=PHILOX,
        dtype=tf.uint32,
    )
    return bits[:, :numbers]
