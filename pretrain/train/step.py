"""One training step: gradients of an objective over micro-batches and replicas, then an AdamW update."""

# B rows of a batch, K reported quantities, N steps of one execution

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.objectives.objective import (
    Batch,
    BatchObjective,
    Objective,
    ScheduledObjective,
    cut_rows,
    map_tensors,
)
from pretrain.train.cached_gradients import cached_gradients
from pretrain.train.optimizer import AdamW, RateFactor, RateOfStep, configured_rate
from pretrain.train.replicas import Replicas
from stackbert.core.errors import require

ObjectiveOfStep = Callable[[tf.Tensor], Objective]
"""The objective of a step, from its number (from 0)."""
RowMasks = Mapping[Any, npt.NDArray[np.float32]]
"""By the reference of a variable, (rows, 1)."""
OWN_METRICS = 5  # values of StepMetrics after the objective's means
STEPS_PER_EXECUTION = 50  # on accelerators, where a call costs about as much as a short step


class StepMetrics(NamedTuple):
    """What a step reports, over its whole batch."""

    means: dict[str, float]
    """The objective's quantities, each a mean over the masked positions."""
    gradient_norm: float
    """Before clipping."""
    num_masked: float
    """Masked positions."""
    num_tokens: float
    """Tokens that are not padding."""
    num_stopping: float
    """Workers that were asked to stop."""
    learning_rate: float

    @property
    def loss(self) -> float:
        return self.means["loss"]


class TrainStep:
    """Trains some variables with one objective for `num_steps` steps; make it in the scope of its `replicas`.

    `row_masks` are factors on the gradients of some variables' rows. `rate_of` gives each step its learning rate; by
    default it has the configuration's. An objective's own weights then keep the head's rate throughout. `objective_of`
    gives each step its objective, with the weights of `objective`; by default all steps have that.
    """

    def __init__(
        self,
        objective: Objective,
        variables: Sequence[tf.Variable],
        num_steps: int,
        config: PretrainConfig,
        replicas: Replicas,
        row_masks: RowMasks = MappingProxyType({}),
        rate_of: RateOfStep | None = None,
        objective_of: ObjectiveOfStep | None = None,
    ) -> None:
        self.objective, self._variables = objective, list(variables)
        self._objective_of = objective_of or (lambda step: objective)
        self._rate_of = rate_of or configured_rate(config, num_steps)
        self._config, self._replicas, self._row_masks = config, replicas, row_masks
        head_rate: RateFactor = config.head_learning_rate / config.learning_rate
        if rate_of:
            head_rate = partial(tf.divide, tf.constant(config.head_learning_rate))
        heads = {variable.ref() for variable in objective.weights.values()}
        rates = [head_rate if variable.ref() in heads else 1.0 for variable in variables]
        self.optimizer = AdamW(variables, config.weight_decay, config.clip_norm, config.spike_factor, rates)

    def update(self, batch: Batch, num_stopping: tf.Tensor, compile_gradients: bool = False) -> tf.Tensor:
        """Take a step on one replica's slice of the batch; returns the values of StepMetrics, those of the whole batch.

        `num_stopping` is 1 where this replica's worker was asked to stop, which all workers thus learn.
        """
        config, replicas = self._config, self._replicas
        objective = self._objective_of(self.optimizer.steps)
        gradients, sums = share_of_gradients(
            objective, batch, self._variables, config.micro_batch_rows, replicas, compile_gradients
        )
        *gradients, sums = replicas.sum([*gradients, tf.concat([sums, [num_stopping]], 0)])
        gradients = [
            gradient * self._row_masks[variable.ref()] if variable.ref() in self._row_masks else gradient
            for variable, gradient in zip(self._variables, gradients, strict=True)
        ]
        *reported, num_masked, num_tokens, num_stopping = tf.unstack(sums)
        rate = self._rate_of(self.optimizer.steps)
        divisor = tf.maximum(num_masked, 1.0)
        norm = self.optimizer.apply(gradients, rate, divisor)
        means = [quantity / divisor for quantity in reported]
        return tf.stack([*means, norm, num_masked, num_tokens, num_stopping, rate])


def scheduled_objective(objective: Objective, first_step: int, total_steps: int) -> ObjectiveOfStep:
    """The objectives of a run's steps from number `first_step` on, of `total_steps`."""
    if not isinstance(objective, ScheduledObjective):
        return lambda step: objective
    return lambda step: objective.at_step(first_step + step, total_steps)


def share_of_gradients(
    objective: Objective,
    batch: Batch,
    variables: Sequence[tf.Variable],
    micro_batch_rows: int,
    replicas: Replicas,
    compile_gradients: bool = False,
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """A replica's share of the gradients and of the sums (K + 2,) of a whole batch, of which `batch` are its rows.

    They are those of `accumulate_gradients`, to be summed over the replicas, or with an objective that compares all
    texts of the batch those of `cached_gradients`. `compile_gradients`: XLA compiles what one replica computes.
    """
    if isinstance(objective, BatchObjective):
        count = num_micro_batches(batch.ids_BT.shape[0], micro_batch_rows)
        gradients, sums = cached_gradients(objective, batch, variables, count, replicas, compile_gradients)
        return gradients, tf.concat([sums, [_num_tokens(batch)]], 0)

    def gradients_of(rows: Batch) -> tuple[list[tf.Tensor], tf.Tensor]:
        return accumulate_gradients(objective, rows, variables, micro_batch_rows)

    if compile_gradients:
        gradients_of = tf.function(gradients_of, jit_compile=True, autograph=False)
    return gradients_of(batch)


def accumulate_gradients(
    objective: Objective, batch: Batch, variables: Sequence[tf.Variable], micro_batch_rows: int
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Gradients of the objective's total with respect to `variables`, and sums (K + 2,), over a batch's rows.

    The sums are the objective's reported quantities, then the number of masked positions and of tokens. Both are added
    up over `num_micro_batches` slices of the batch. Without variables nothing is differentiated.
    """
    count = num_micro_batches(batch.ids_BT.shape[0], micro_batch_rows)

    def compute(rows: Batch) -> list[tf.Tensor]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = objective.losses(rows)
        gradients = tape.gradient(losses.total, variables) if variables else []
        sums = tf.concat([losses.reported_K, [losses.count, _num_tokens(rows)]], 0)
        return [*(tf.convert_to_tensor(gradient) for gradient in gradients), sums]

    if count == 1:
        *gradients, sums = compute(batch)
        return gradients, sums
    slices = cut_rows(batch, count)

    def add(number: tf.Tensor, sums: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        more = compute(map_tensors(lambda tensor: tensor[number], slices))
        return number + 1, [a + b for a, b in zip(sums, more, strict=True)]

    zeros = [tf.zeros(shape) for shape in (*(each.shape for each in variables), (len(objective.metrics) + 2,))]
    _, (*gradients, sums) = tf.while_loop(lambda number, _: number < count, add, (0, zeros), parallel_iterations=1)
    return gradients, sums


def _num_tokens(batch: Batch) -> tf.Tensor:
    """Tokens that are not padding."""
    return tf.reduce_sum(tf.cast(batch.segments_BT > 0, tf.float32))


def num_micro_batches(num_rows: int, micro_batch_rows: int) -> int:
    """The fewest equal micro-batches of at most `micro_batch_rows` that a device's rows divide into; 0: one.

    Raises StackbertError where they divide only into micro-batches of less than half that size.

    >>> num_micro_batches(64, 24)
    4
    """
    if not micro_batch_rows or micro_batch_rows >= num_rows:
        return 1
    size = max(count for count in range(1, micro_batch_rows + 1) if num_rows % count == 0)
    require(
        2 * size >= micro_batch_rows,
        f"micro_batch_rows {micro_batch_rows}: the {num_rows} rows of a device divide into micro-batches of {size} at "
        f"most; choose batch_rows so that each device gets a multiple of {micro_batch_rows}",
    )
    return num_rows // size


@dataclass(frozen=True)
class CompiledStep:
    """Executes training steps as `compile_step` compiled them."""

    steps_per_execution: int
    """Most steps to take in one execution."""
    metrics: tuple[str, ...]
    """Names of the objective's quantities."""
    one: Callable[[Batch, tf.Tensor], tf.Tensor]
    many: Callable[[Iterator[Batch], tf.Tensor, tf.Tensor], tf.Tensor]

    def __call__(self, batches: Iterator[Batch], count: int = 1, stopping: bool = False) -> list[StepMetrics]:
        """Take `count` steps on the next batches, cut for the replicas; `stopping`: this worker was asked to stop."""
        num_stopping = tf.constant(float(stopping))
        if count == 1:
            values = self.one(next(batches), num_stopping)[None]
        else:
            values = self.many(batches, tf.constant(count), num_stopping)
        names = self.metrics
        return [
            StepMetrics(dict(zip(names, step, strict=False)), *step[len(names) :]) for step in values.numpy().tolist()
        ]


def compile_step(step: TrainStep, replicas: Replicas, steps_per_execution: int = 0) -> CompiledStep:
    """Decide what XLA compiles of a step, and how many steps one execution takes (0: by the kind of device).

    - CPU: XLA compiles the fused ops only; matrix products are faster outside it (oneDNN). One step.
    - One GPU: XLA compiles the whole step. Many steps.
    - Several GPUs: XLA compiles each one's gradients; their sum over GPUs cannot be part of an XLA program. Many steps.
    - TPU: TPUStrategy compiles the whole execution. Many steps, or one where batches are sent to other machines.
    """
    whole_step = replicas.compiles_step

    def update(own: Batch, num_stopping: tf.Tensor) -> tf.Tensor:
        return step.update(own, num_stopping, replicas.compiles_gradients)

    def run(batch: Batch, num_stopping: tf.Tensor) -> tf.Tensor:
        return replicas.run(update, batch, num_stopping)

    one = tf.function(run, jit_compile=whole_step, autograph=False)
    body = one if whole_step else run

    def run_many(batches: Iterator[Batch], count: tf.Tensor, num_stopping: tf.Tensor) -> tf.Tensor:
        width = len(step.objective.metrics) + OWN_METRICS
        values = tf.TensorArray(tf.float32, count, element_shape=(width,))

        def take(number: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            return number + 1, values.write(number, body(next(batches), num_stopping))

        _, values = tf.while_loop(lambda number, _: number < count, take, (0, values), parallel_iterations=1)
        return values.stack()

    many = tf.function(run_many, autograph=False)
    default = STEPS_PER_EXECUTION if replicas.accelerated else 1
    most = 1 if replicas.feeds_batches else steps_per_execution or default
    return CompiledStep(most, step.objective.metrics, one, many)


def compile_evaluation(
    objective: Objective, replicas: Replicas, micro_batch_rows: int = 0
) -> Callable[[Batch], list[float]]:
    """The function that sums the objective's quantities, and the masked positions, over a whole batch: K + 1 floats."""

    def evaluate(own: Batch) -> tf.Tensor:
        _, sums = share_of_gradients(objective, own, (), micro_batch_rows, replicas)
        return replicas.sum([sums[:-1]])[0]

    run = tf.function(lambda batch: replicas.run(evaluate, batch), jit_compile=replicas.compiles_step, autograph=False)
    return lambda batch: [float(value) for value in run(replicas.cut(batch)).numpy()]
