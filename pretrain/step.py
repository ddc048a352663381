"""One training step of the masked language model, and its held-out loss."""

# B rows, T tokens, H hidden, M = B x P masked positions

import math
from collections.abc import Sequence

import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.device import whole_step_compiled
from pretrain.encoder import Encoder
from pretrain.masking import MaskedBatch
from pretrain.optimizer import AdamW
from pretrain.schedule import scheduled_rate

EMBEDDING_PARTS = ("embeddings/word", "mlm/")  # what a new vocabulary leaves untrained: its table, and the head over it


class MlmStep:
    """The training steps of a run, and the held-out loss.

    With `embedding_steps`, that many steps come first that train the word table and the MLM head alone, with an
    optimizer and a rise and fall of the rate of their own; then everything is trained for the steps that are left.
    """

    def __init__(self, encoder: Encoder, config: PretrainConfig, total_steps: int, embedding_steps: int = 0):
        self.encoder, self.embedding_steps = encoder, embedding_steps
        self.variables = list(encoder.weights.values())
        parts = [variable for name, variable in encoder.weights.items() if name.startswith(EMBEDDING_PARTS)]
        self.embeddings = _Phase(self, parts, config, embedding_steps) if embedding_steps else None
        self.everything = _Phase(self, self.variables, config, total_steps - embedding_steps)
        self.evaluate = tf.function(self.losses, jit_compile=whole_step_compiled(), autograph=False)

    @property
    def done(self) -> int:
        """Steps taken, of both kinds."""
        phases = [phase for phase in (self.embeddings, self.everything) if phase]
        return sum(int(phase.optimizer.steps.numpy()) for phase in phases)

    @property
    def optimizers(self) -> dict[str, AdamW]:
        """By the name under which each is saved."""
        first = {"embedding_optimizer": self.embeddings.optimizer} if self.embeddings else {}
        return {"optimizer": self.everything.optimizer, **first}

    def train(self, batch: MaskedBatch, step: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Take step number `step` (from 0); returns mean loss, right share, and the gradient's norm before clipping."""
        phase = self.embeddings if self.embeddings and step < self.embedding_steps else self.everything
        return phase.train(batch)

    def losses(self, batch: MaskedBatch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Sums over a batch's positions to guess: loss in nats, right guesses, positions."""
        hidden_BTH = self.encoder.hidden(batch.ids_BT, batch.segments_BT)
        states_MH = tf.reshape(tf.gather(hidden_BTH, batch.positions_BP, batch_dims=1), (-1, hidden_BTH.shape[-1]))
        weights_M = tf.reshape(batch.weights_BP, [-1])
        loss, correct = self.encoder.mlm_loss(states_MH, tf.reshape(batch.targets_BP, [-1]), weights_M)
        return loss, correct, tf.reduce_sum(weights_M)

    def gradients(
        self, batch: MaskedBatch, variables: Sequence[tf.Variable]
    ) -> tuple[tf.Tensor, list[tf.Tensor], tf.Tensor]:
        """Mean loss over the positions to guess, its gradients in the order of `variables`, right share."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss, correct, count = self.losses(batch)
            loss = loss / tf.maximum(count, 1.0)
        return loss, tape.gradient(loss, variables), correct / tf.maximum(count, 1.0)


class _Phase:
    """Steps that train some of the variables, with an optimizer and a schedule of their own."""

    def __init__(self, step: MlmStep, variables: Sequence[tf.Variable], config: PretrainConfig, num_steps: int):
        self._step, self._variables, self._config, self._num_steps = step, variables, config, num_steps
        self.optimizer = AdamW(variables, config.weight_decay, config.clip_norm)
        self.train = tf.function(self._train, jit_compile=whole_step_compiled(), autograph=False)

    def _train(self, batch: MaskedBatch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        config, steps = self._config, self._num_steps
        warmup_steps = math.ceil(steps * config.warmup_share)
        rate = scheduled_rate(
            config.schedule, self.optimizer.steps, steps, warmup_steps, config.learning_rate, config.decay_share
        )
        loss, gradients, accuracy = self._step.gradients(batch, self._variables)
        return loss, accuracy, self.optimizer.apply(gradients, rate)
