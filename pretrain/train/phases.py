"""The phases of a run: with a new vocabulary, steps for its new rows or all embeddings can precede those for all."""

# V vocabulary

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.init.transfer import new_tokens
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Objective, trained_weights
from pretrain.train.optimizer import AdamW
from pretrain.train.replicas import Replicas
from pretrain.train.step import CompiledStep, RowMasks, TrainStep, compile_step, scheduled_objective
from tokenizer.encoding.reader import TextReader

WORD_TABLE = "embeddings/word"
EMBEDDING_PREFIXES = (WORD_TABLE, "mlm/")  # what a new vocabulary leaves untrained: its table and the MLM head


@dataclass(frozen=True)
class Phase:
    """Consecutive steps that train the same variables, with an optimizer and a schedule of their own."""

    name: str
    """Of its optimizer in a training state."""
    end: int
    """The step before which the phase ends."""
    optimizer: AdamW
    execute: CompiledStep


class Phases:
    """`new_row_steps` and `embedding_steps` that train a part of the weights, then steps that train everything.

    The first train the rows `is_new_V` of the word table and the MLM head, the second the whole table and that head.
    Make it in the scope of its `replicas`.
    """

    def __init__(
        self,
        encoder: Encoder,
        objective: Objective,
        config: PretrainConfig,
        total_steps: int,
        embedding_steps: int,
        replicas: Replicas,
        new_row_steps: int = 0,
        is_new_V: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        def add(
            name: str, variables: list[tf.Variable], num_steps: int, rows: RowMasks, config: PretrainConfig
        ) -> None:
            begin = self._phases[-1].end if self._phases else 0
            objective_of = scheduled_objective(objective, begin, total_steps)
            step = TrainStep(objective, variables, num_steps, config, replicas, rows, objective_of=objective_of)
            execute = compile_step(step, replicas, config.steps_per_execution)
            self._phases.append(Phase(name, begin + num_steps, step.optimizer, execute))

        weights = trained_weights(encoder.weights, objective)
        self._variables = list(weights.values())
        self._phases: list[Phase] = []
        embeddings = [
            weights[name] for name in weights if name.startswith(EMBEDDING_PREFIXES) or name in objective.weights
        ]
        if new_row_steps:
            table = encoder.weights[WORD_TABLE]
            # rows that are not trained must not decay either
            undecayed = replace(config, weight_decay=0.0)
            add("new_rows_optimizer", embeddings, new_row_steps, {table.ref(): _mask(table, is_new_V)}, undecayed)
        if embedding_steps:
            add("embedding_optimizer", embeddings, embedding_steps, {}, config)
        add("optimizer", self._variables, total_steps - embedding_steps - new_row_steps, {}, config)

    def at(self, step: int) -> Phase:
        """The phase of step number `step`, from 0."""
        return next((phase for phase in self._phases if step < phase.end), self._phases[-1])

    @property
    def done(self) -> int:
        """Steps taken."""
        return sum(int(phase.optimizer.steps.numpy()) for phase in self._phases)

    @property
    def skipped_updates(self) -> int:
        """Steps whose update the optimizer skipped."""
        return sum(int(phase.optimizer.skipped_updates.numpy()) for phase in self._phases)

    @property
    def optimizers(self) -> dict[str, AdamW]:
        """The optimizers by the names under which a training state holds them."""
        return {phase.name: phase.optimizer for phase in reversed(self._phases)}

    @property
    def variables(self) -> list[tf.Variable]:
        """All that training changes."""
        return [*self._variables, *(each for phase in self._phases for each in phase.optimizer.state)]


def build_phases(
    config: PretrainConfig,
    encoder: Encoder,
    objective: Objective,
    total_steps: int,
    replicas: Replicas,
    reader: TextReader,
    has_new_vocabulary: bool,
) -> Phases:
    """The phases that a run's configuration asks for; without a new vocabulary, one."""
    shares = (config.embeddings_first, config.new_rows_first)
    first, rows_first = (round(total_steps * share) if has_new_vocabulary else 0 for share in shares)
    is_new_V = new_tokens(config.base, reader) if rows_first else None
    with replicas.scope():
        return Phases(encoder, objective, config, total_steps, first, replicas, rows_first, is_new_V)


def _mask(table: tf.Variable, is_new_V: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.float32]:
    """1.0 for each new row of the word table, (V, 1); a table may have more rows than there are tokens."""
    mask_V1 = np.zeros((table.shape[0], 1), np.float32)
    if is_new_V is not None:
        mask_V1[: len(is_new_V), 0] = is_new_V
    return mask_V1
