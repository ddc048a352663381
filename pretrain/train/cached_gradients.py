"""Gradients of losses that compare all texts of a batch, whose rows are nevertheless encoded in micro-batches.

Gradient caching (Gao et al. 2021, arXiv 2101.06983, section 3.2): first only the vectors of all texts are computed, one
micro-batch after the other; then the loss of the whole batch, over all replicas, and its gradient with respect to the
vectors; then each micro-batch is encoded again and its vectors' gradients are propagated to the variables. The result
is that of one pass, the memory that of one micro-batch. Both passes compute the same: no dropout is in the encoder.
"""

# B rows of a batch on this replica, C micro-batches, K reported quantities

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from pretrain.objectives.objective import Batch, BatchObjective, cut_rows, map_tensors
from pretrain.train.replicas import Replicas


def cached_gradients(
    objective: BatchObjective,
    batch: Batch,
    variables: Sequence[tf.Variable],
    count: int,
    replicas: Replicas,
    compile_passes: bool = False,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """This replica's share of the gradients of the whole batch's total, and of the reported quantities (K + 1,).

    Both are to be summed over the replicas. `batch` holds this replica's rows, which are encoded in `count` slices;
    with one slice, in one pass. The quantities are the objective's and then the number of predictions.
    `compile_passes`: XLA compiles each pass, where the exchange between the replicas cannot be part of an XLA program.
    Without variables nothing is differentiated.
    """
    compiled: Callable[[Any], Any] = tf.function(jit_compile=True, autograph=False) if compile_passes else _as_it_is
    if count == 1:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            vectors = compiled(objective.vectors)(batch)
        gradients_of_vectors, sums = _losses(objective, vectors, replicas, bool(variables))
        return _gradients(tape, vectors, variables, gradients_of_vectors), sums
    slices = cut_rows(batch, count)
    vectors = compiled(lambda rows: _vectors(objective, rows, count))(slices)
    joined = tf.reshape(vectors, (-1, *vectors.shape[2:]))
    gradients_of_vectors, sums = _losses(objective, joined, replicas, bool(variables))
    if not variables:
        return [], sums
    gradients_of_vectors = tf.reshape(gradients_of_vectors, vectors.shape)
    propagate = compiled(lambda rows, gradients: _propagate(objective, rows, variables, gradients, count))
    return propagate(slices, gradients_of_vectors), sums


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _vectors(objective: BatchObjective, slices: Batch, count: int) -> tf.Tensor:
    """The vectors of all slices, (C, B / C, ...)."""

    def encode(number: tf.Tensor) -> tf.Tensor:
        return objective.vectors(map_tensors(lambda tensor: tensor[number], slices))

    return tf.map_fn(encode, tf.range(count), fn_output_signature=tf.float32, parallel_iterations=1)


def _losses(
    objective: BatchObjective, vectors: tf.Tensor, replicas: Replicas, differentiate: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """The gradient of the whole batch's total with respect to this replica's vectors, and its share of the sums."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        every = replicas.gather(vectors)
        tape.watch(every)
        losses = objective.losses_of_vectors(every)
    # all replicas compute the same loss: one of them reports it
    sums = replicas.once(tf.concat([losses.reported_K, [losses.count]], 0))
    return (replicas.own(tape.gradient(losses.total, every)) if differentiate else None), sums


def _propagate(
    objective: BatchObjective,
    slices: Batch,
    variables: Sequence[tf.Variable],
    gradients_of_vectors: tf.Tensor,
    count: int,
) -> list[tf.Tensor]:
    """Gradients with respect to the variables, summed over the slices."""

    def add(number: tf.Tensor, sums: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            vectors = objective.vectors(map_tensors(lambda tensor: tensor[number], slices))
        more = _gradients(tape, vectors, variables, gradients_of_vectors[number])
        return number + 1, [a + b for a, b in zip(sums, more, strict=True)]

    zeros = [tf.zeros(variable.shape) for variable in variables]
    _, gradients = tf.while_loop(lambda number, _: number < count, add, (0, zeros), parallel_iterations=1)
    found: list[tf.Tensor] = gradients
    return found


def _gradients(
    tape: tf.GradientTape, vectors: tf.Tensor, variables: Sequence[tf.Variable], gradients_of_vectors: tf.Tensor
) -> list[tf.Tensor]:
    """Dense gradients of the variables, from those of the vectors."""
    found = tape.gradient(vectors, variables, gradients_of_vectors) if variables else []
    return [tf.convert_to_tensor(gradient) for gradient in found]
