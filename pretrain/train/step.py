"""One training step of the masked language model, and its held-out loss."""

# B rows, T tokens, H hidden, P positions a row, M = B x P, K kinds of sums

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.model.encoder import Encoder
from pretrain.objectives.distillation import KeptBatch, distances_at
from pretrain.objectives.masked_lm import MaskedBatch
from pretrain.train.optimizer import AdamW, scheduled_rate
from pretrain.train.replicas import Replicas
from stackbert.core.errors import require

Batch = MaskedBatch | KeptBatch
EMBEDDING_PARTS = ("embeddings/word", "mlm/")  # what a new vocabulary leaves untrained: its table, and the head over it


class StepFigures(NamedTuple):
    """What came of a step, over its whole batch."""

    loss: float
    """Mean over the positions to guess, nats."""
    accuracy: float
    """Right share of them."""
    distance: float
    """Mean over them of their text's distance to the base's vectors, as `distances_at` has it; 0 of a MaskedBatch."""
    gradient_norm: float
    """Before clipping."""
    guessed: float
    """Positions to guess."""
    tokens: float
    """Tokens that are not padding."""
    stopping: float
    """Workers that were asked to stop."""
    learning_rate: float


class MlmStep:
    """The training steps of a run, and the held-out loss; to be made in the scope of its `replicas`.

    With `embedding_steps`, that many steps come first that train the word table and the MLM head alone, with an
    optimizer and a rise and fall of the rate of their own; then everything is trained for the steps that are left.
    With KeptBatches, which need the frozen `base`, its text vectors are kept.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: PretrainConfig,
        total_steps: int,
        embedding_steps: int = 0,
        replicas: Replicas | None = None,
        base: Encoder | None = None,
    ):
        self.encoder, self.embedding_steps, self._micro_batch_rows = encoder, embedding_steps, config.micro_batch_rows
        self._base, self._distill_weight = base, config.distill_weight
        self.replicas = replicas or Replicas()
        self.variables = list(encoder.weights.values())
        parts = [variable for name, variable in encoder.weights.items() if name.startswith(EMBEDDING_PARTS)]
        self.embeddings = _Phase(self, parts, config, embedding_steps) if embedding_steps else None
        self.everything = _Phase(self, self.variables, config, total_steps - embedding_steps)
        self._evaluate = tf.function(self._shared_losses, jit_compile=self.replicas.compiles_step, autograph=False)

    @property
    def done(self) -> int:
        """Steps taken, of both kinds."""
        return sum(int(phase.optimizer.steps.numpy()) for phase in self._phases)

    @property
    def left_out(self) -> int:
        """Steps whose update was left out, as a spike."""
        return sum(int(phase.optimizer.left_out.numpy()) for phase in self._phases)

    @property
    def optimizers(self) -> dict[str, AdamW]:
        """By the name under which each is saved."""
        first = {"embedding_optimizer": self.embeddings.optimizer} if self.embeddings else {}
        return {"optimizer": self.everything.optimizer, **first}

    @property
    def state(self) -> list[tf.Variable]:
        """All that training changes."""
        return [*self.variables, *(part for optimizer in self.optimizers.values() for part in optimizer.state)]

    def train(self, batch: Batch, step: int, stopping: bool = False) -> StepFigures:
        """Take step number `step` (from 0) on a batch, cut for the replicas where there are several."""
        return StepFigures(*self._phase(step).train(batch, tf.constant(float(stopping))).numpy().tolist())

    def train_many(self, batches: Iterator[Batch], step: int, count: int, stopping: bool = False) -> list[StepFigures]:
        """Take `count` steps from number `step` on in one call; they must not go beyond `window_end(step)`."""
        figures_NK = self._phase(step).train_many(batches, tf.constant(count), tf.constant(float(stopping)))
        return [StepFigures(*row) for row in figures_NK.numpy().tolist()]

    def take(self, batches: Iterator[Batch], step: int, count: int, stopping: bool = False) -> list[StepFigures]:
        """Take `count` steps from number `step` on, in one call; they must not go beyond `window_end(step)`."""
        if count > 1:
            return self.train_many(batches, step, count, stopping)
        return [self.train(next(batches), step, stopping)]

    def train_part(self, batch: Batch) -> tf.Tensor:
        """The step that trains everything, as one replica takes it on its part: the graph that a device compiles."""
        return self.everything.replica_step(batch, tf.constant(0.0))

    def window_end(self, step: int, total_steps: int) -> int:
        """The step before which the steps from `step` on are all of one kind."""
        return self.embedding_steps if step < self.embedding_steps else total_steps

    def evaluate(self, batch: Batch) -> tuple[float, float, float, float]:
        """Sums over a whole batch's positions to guess: loss in nats, right guesses, distances, positions."""
        loss, correct, distance, count = self._evaluate(self.replicas.parts(batch)).numpy().tolist()
        return loss, correct, distance, count

    def losses(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """The same sums over one replica's part, as tensors."""
        weights_M = tf.reshape(batch.weights_BP, [-1])
        if isinstance(batch, KeptBatch):
            assert self._base is not None
            hidden_BTH = self.encoder.hidden(batch.ids_BT, batch.segments_BT)
            distance = tf.reduce_sum(weights_M * distances_at(hidden_BTH, batch, self._base))
            states_BPH = tf.gather(hidden_BTH, batch.positions_BP, batch_dims=1)
            states_MH = tf.reshape(states_BPH, (-1, hidden_BTH.shape[-1]))
        else:
            distance = tf.constant(0.0)
            states_MH = self.encoder.hidden_at(batch.ids_BT, batch.segments_BT, batch.positions_BP)
        loss, correct = self.encoder.mlm_loss(states_MH, tf.reshape(batch.targets_BP, [-1]), weights_M)
        return loss, correct, distance, tf.reduce_sum(weights_M)

    def gradients(self, batch: Batch, variables: Sequence[tf.Variable]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of the loss' sum, in the order of `variables`, and sums (K,).

        The sums are loss, right guesses, distances to the base, guessed, tokens. A text's distance counts as often as
        its tokens are guessed, so that sums over parts of a batch add up as the loss does.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss, correct, distance, count = self.losses(batch)
            objective = loss + self._distill_weight * distance
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(objective, variables)]
        tokens = tf.reduce_sum(tf.cast(batch.segments_BT > 0, tf.float32))
        return gradients, tf.stack([loss, correct, distance, count, tokens])

    @property
    def _phases(self) -> list["_Phase"]:
        return [phase for phase in (self.embeddings, self.everything) if phase]

    def _phase(self, step: int) -> "_Phase":
        return self.embeddings if self.embeddings and step < self.embedding_steps else self.everything

    def _shared_losses(self, batch: Batch) -> tf.Tensor:
        return self.replicas.run(self._summed_losses, batch)

    def _summed_losses(self, part: Batch) -> tf.Tensor:
        sums = summed_in_turns(lambda rows: [tf.stack(self.losses(rows))], part, self._micro_batch_rows, [(4,)])
        return self.replicas.sum(sums)[0]


class _Phase:
    """Steps that train some of the variables, with an optimizer and a schedule of their own."""

    def __init__(self, step: MlmStep, variables: Sequence[tf.Variable], config: PretrainConfig, num_steps: int):
        self._step, self._variables, self._config, self._num_steps = step, variables, config, num_steps
        self.optimizer = AdamW(variables, config.weight_decay, config.clip_norm, config.spike_factor)
        replicas = step.replicas
        self.train = tf.function(self._shared, jit_compile=replicas.compiles_step, autograph=False)
        self.train_many = tf.function(self._window, autograph=False)
        self._gradients = self._accumulated
        if replicas.count > 1 and replicas.compiles_accelerated and not replicas.is_tpu:
            self._gradients = tf.function(self._accumulated, jit_compile=True, autograph=False)

    def _shared(self, batch: Batch, stopping: tf.Tensor) -> tf.Tensor:
        return self._step.replicas.run(self.replica_step, batch, stopping)

    def _window(self, batches: Iterator[Batch], count: tf.Tensor, stopping: tf.Tensor) -> tf.Tensor:
        figures = tf.TensorArray(tf.float32, count, element_shape=(len(StepFigures._fields),))

        def step(number: tf.Tensor, figures: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            # of one GPU the step is a program of its own; several, and a TPU, compile what is in it
            take = self.train if self._step.replicas.compiles_step else self._shared
            return number + 1, figures.write(number, take(next(batches), stopping))

        _, figures = tf.while_loop(lambda number, _: number < count, step, (0, figures), parallel_iterations=1)
        return figures.stack()

    def replica_step(self, batch: Batch, stopping: tf.Tensor) -> tf.Tensor:
        """The step on one replica's part of the batch; returns the StepFigures of the whole."""
        config, steps = self._config, self._num_steps
        gradients, sums_K = self._gradients(batch)
        *gradients, sums_K = self._step.replicas.sum([*gradients, tf.concat([sums_K, [stopping]], 0)])
        loss, correct, distance, guessed, tokens, stopping = tf.unstack(sums_K)
        warmup_steps = math.ceil(steps * config.warmup_share)
        rate = scheduled_rate(
            config.schedule, self.optimizer.steps, steps, warmup_steps, config.learning_rate, config.decay_share
        )
        divisor = tf.maximum(guessed, 1.0)
        norm = self.optimizer.apply(gradients, rate, divisor)
        means = [loss / divisor, correct / divisor, distance / divisor]
        return tf.stack([*means, norm, guessed, tokens, stopping, rate])

    def _accumulated(self, batch: Batch) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients and sums over a replica's part, taken in as many turns as its memory needs."""

        def sums(rows: Batch) -> list[tf.Tensor]:
            gradients, sums_K = self._step.gradients(rows, self._variables)
            return [*gradients, sums_K]

        shapes = [*(variable.shape for variable in self._variables), (5,)]
        *gradients, sums_K = summed_in_turns(sums, batch, self._config.micro_batch_rows, shapes)
        return gradients, sums_K


def summed_in_turns(
    function: Callable[[Batch], list[tf.Tensor]],
    batch: Batch,
    micro_batch_rows: int,
    shapes: Sequence[Sequence[int]],
) -> list[tf.Tensor]:
    """Sums over a batch's rows of the tensors that `function` gives, whose shapes are `shapes`.

    The rows are taken in as many turns as `turns_of` says.
    """
    rows = batch.ids_BT.shape[0]
    turns = turns_of(rows, micro_batch_rows)
    if turns == 1:
        return function(batch)
    cut = type(batch)(*(tf.reshape(part, (turns, rows // turns, *part.shape[1:])) for part in batch))

    def turn(number: tf.Tensor, sums: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        more = function(type(batch)(*(part[number] for part in cut)))
        return number + 1, [a + b for a, b in zip(sums, more, strict=True)]

    start = (0, [tf.zeros(shape) for shape in shapes])
    _, sums = tf.while_loop(lambda number, _: number < turns, turn, start, parallel_iterations=1)
    return list(sums)


def turns_of(rows: int, micro_batch_rows: int) -> int:
    """The least number of equal turns in which a device takes its rows, `micro_batch_rows` at most; 0: one turn.

    Raises StackbertError where the rows do not divide into turns of half that size or more.

    >>> turns_of(64, 24)
    4
    """
    if not micro_batch_rows or micro_batch_rows >= rows:
        return 1
    at_once = max(count for count in range(1, micro_batch_rows + 1) if rows % count == 0)
    require(
        2 * at_once >= micro_batch_rows,
        f"micro_batch_rows {micro_batch_rows}: the {rows} rows of a device divide into turns of {at_once} only; take "
        f"batch_rows that gives each device a multiple of {micro_batch_rows}",
    )
    return rows // at_once
