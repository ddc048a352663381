"""The phases of a run: with a new vocabulary, steps that train the embeddings only can precede those for everything."""

from dataclasses import dataclass

import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Objective, trained_weights
from pretrain.train.optimizer import AdamW
from pretrain.train.replicas import Replicas
from pretrain.train.step import CompiledStep, TrainStep, compile_step

EMBEDDING_PREFIXES = ("embeddings/word", "mlm/")  # what a new vocabulary leaves untrained: its table and the MLM head


@dataclass(frozen=True)
class Phase:
    """Consecutive steps that train the same variables, with an optimizer and a schedule of their own."""

    end: int
    """The step before which the phase ends."""
    optimizer: AdamW
    execute: CompiledStep


class Phases:
    """`embedding_steps` steps that train the word table and the MLM head, then steps that train everything.

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
    ) -> None:
        def phase(variables: list[tf.Variable], end: int, num_steps: int) -> Phase:
            step = TrainStep(objective, variables, num_steps, config, replicas)
            return Phase(end, step.optimizer, compile_step(step, replicas, config.steps_per_execution))

        weights = trained_weights(encoder.weights, objective)
        self._variables = list(weights.values())
        self._phases: list[Phase] = []
        if embedding_steps:
            new = [name for name in weights if name.startswith(EMBEDDING_PREFIXES) or name in objective.weights]
            first = [weights[name] for name in new]
            self._phases.append(phase(first, embedding_steps, embedding_steps))
        self._phases.append(phase(self._variables, total_steps, total_steps - embedding_steps))

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
        names = ("optimizer", "embedding_optimizer")
        return dict(zip(names, (phase.optimizer for phase in reversed(self._phases)), strict=False))

    @property
    def variables(self) -> list[tf.Variable]:
        """All that training changes."""
        return [*self._variables, *(each for phase in self._phases for each in phase.optimizer.state)]
