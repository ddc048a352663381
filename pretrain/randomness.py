"""Random streams as functions of (seed, name, step, row): a slice of a batch gets the same numbers as in the whole."""

import hashlib
from collections.abc import Sequence

import tensorflow as tf

# S a stream's key (from seed and name), step, and first row in the step's batch

GENERATOR = "philox"  # explicit, because TensorFlow's default differs between devices
PHILOX = tf.random.Algorithm.PHILOX.value
NUMBERS_PER_COUNT = 4  # numbers of 32 bits that Philox gives for each value of its counter


def stream(seed: int, name: str, step: int | tf.Tensor = 0, first_row: int | tf.Tensor = 0) -> tf.Tensor:
    """The stream `name` at one step, (S,) int32. Its row n is row `first_row` + n of the whole batch.

    Names are part of the seed: renaming a stream changes its numbers.
    """
    key = int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=4).digest(), "little", signed=True)
    return tf.stack([tf.constant(key, tf.int32), tf.cast(step, tf.int32), tf.cast(first_row, tf.int32)])


def split(stream_S: tf.Tensor, number: int) -> list[tf.Tensor]:
    """`number` independent streams with the same first row, each (S,)."""
    seeds = tf.random.split(stream_S[:2], number, alg=GENERATOR)
    return [tf.concat([seeds[n], stream_S[2:]], 0) for n in range(number)]


def uniform(shape: Sequence[int], stream_S: tf.Tensor) -> tf.Tensor:
    """Uniform float32 numbers in [0, 1), multiples of 2^-24, of shape (rows, numbers a row); the same under XLA."""
    bits = tf.bitwise.right_shift(_bits(shape, stream_S), tf.constant(8, tf.uint32))
    return tf.cast(bits, tf.float32) * 2.0**-24


def uniform_integers(shape: Sequence[int], stream_S: tf.Tensor, end: int) -> tf.Tensor:
    """Uniform int32 numbers in [0, `end`), of shape (rows, numbers a row).

    Remainders of 32 random bits, which favours small numbers by a relative end / 2^32 at most.
    """
    return tf.cast(_bits(shape, stream_S) % tf.constant(end, tf.uint32), tf.int32)


def _bits(shape: Sequence[int], stream_S: tf.Tensor) -> tf.Tensor:
    rows, numbers = shape
    counts = -(-numbers // NUMBERS_PER_COUNT)  # a row's counter values depend on its number only
    key_2 = tf.bitcast(stream_S[:2], tf.uint32)
    key = tf.cast(key_2[0], tf.uint64) * tf.constant(2**32, tf.uint64) + tf.cast(key_2[1], tf.uint64)
    first = tf.cast(stream_S[2], tf.uint64) * tf.constant(counts, tf.uint64)
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=(rows, counts * NUMBERS_PER_COUNT),
        key=key[None],
        counter=tf.stack([first, tf.zeros_like(first)]),
        alg=PHILOX,
        dtype=tf.uint32,
    )
    return bits[:, :numbers]
