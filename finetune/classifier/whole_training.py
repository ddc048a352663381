"""Phase 2 of fine-tuning: the whole model, from the head of phase 1, with early stopping on dev."""

# N texts per step, L labels

import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from finetune.classifier.classifier import Classifier, batch_spec
from finetune.classifier.phases import (
    BEST_BY,
    BestWeights,
    EncodedSplit,
    EpochRecord,
    PhaseResult,
    epoch_record,
    loss_function,
    phase_result,
)
from finetune.classifier.text_batches import TextBatch, training_batches
from pretrain.randomness import stream
from pretrain.train.device import whole_step_compiled
from pretrain.train.optimizer import AdamW, scheduled_rate
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress

COMPILING_STEPS = 10
"""First steps of the first epoch, which compile the step for nearly all numbers of rows."""


class WholeTraining:
    """Trains encoder and head with AdamW at a low rate.

    One instance serves all seeds of a checkpoint, so that the step is compiled once for each number of rows.
    """

    def __init__(self, classifier: Classifier, train: EncodedSplit, dev: EncodedSplit, test: EncodedSplit):
        self._classifier, self._train, self._dev, self._test = classifier, train, dev, test
        config = classifier.config
        trained = [(variable, 1.0) for variable in classifier.head.variables_in_order]
        trained += classifier.encoder_rates(config.layer_decay)
        self._variables, rates = map(list, zip(*trained, strict=True))
        self._optimizer = AdamW(self._variables, config.weight_decay, config.clip_norm, rates=rates)
        self._loss = loss_function(config, train.targets_NL)
        self._epoch_steps = math.ceil(len(train.sequences) / config.batch_size)
        self._total_steps = self._epoch_steps * config.epochs
        self._step = tf.function(self._train_step, jit_compile=whole_step_compiled(), autograph=False)
        self._compiled: dict[int, Any] = {}
        """Concrete functions of the step by number of rows."""

    def run(self, seed: int) -> PhaseResult:
        """Train with one seed; restores the weights of the best epoch on dev.

        Raises StackbertError, naming epoch and step, if the loss is not finite.
        """
        start = time.monotonic()
        config = self._classifier.config
        self._optimizer.reset()
        best = BestWeights(self._variables)
        records: list[EpochRecord] = []
        for epoch in range(1, config.epochs + 1):
            train_loss = self._run_epoch(seed, epoch)
            dev_NL = self._classifier.probabilities(self._dev.sequences)
            records.append(epoch_record(epoch, train_loss, self._loss, self._dev.targets_NL, dev_NL))
            _print_epoch(records[-1], config.epochs, time.monotonic() - start)
            best.update(BEST_BY[config.best_by](records[-1]))
            if best.epochs_since >= config.patience:
                break
        best.restore()
        dev_NL, test_NL = (self._classifier.probabilities(split.sequences) for split in (self._dev, self._test))
        return phase_result(config, self._dev, dev_NL, test_NL, records, time.monotonic() - start)

    def _run_epoch(self, seed: int, epoch: int) -> float:
        """Train one epoch and return its mean loss."""
        losses: list[float] = []
        key_2 = stream(seed, "dropout")[:2]
        title = f"  epoch {epoch}/{self._classifier.config.epochs}"
        warm_up = 0 if self._compiled else COMPILING_STEPS
        with Progress(title, self._epoch_steps, unit="steps", warm_up=warm_up) as progress:
            for batch, *targets_and_weights in self._batches(seed, epoch):
                step = self._step_of_rows(batch.ids_RT.shape[0])
                losses.append(float(step(batch, *targets_and_weights, key_2)))
                if not math.isfinite(losses[-1]):
                    where = f"epoch {epoch}, step {len(losses)}"
                    raise StackbertError(f"{where}: the loss is {losses[-1]}; lower the recipe's learning_rate")
                progress.advance(note=f"loss {losses[-1]:.4f}")
        return float(np.mean(losses))

    def _batches(self, seed: int, epoch: int) -> Iterator[tuple[TextBatch, tf.Tensor, tf.Tensor]]:
        """Batch, targets and weights of each step; the last batch is padded with texts of weight 0."""
        config, train = self._classifier.config, self._train
        batches = training_batches(
            train.sequences, self._classifier.reader, config.max_length, config.batch_size, (seed, epoch)
        )
        for batch, indices_N in batches:
            padding = config.batch_size - len(indices_N)
            weights_N = np.pad(np.ones(len(indices_N), np.float32), (0, padding))
            targets_NL = np.pad(train.targets_NL[indices_N], ((0, padding), (0, 0)))
            batch = batch._replace(slots_N=np.pad(batch.slots_N, (0, padding)))
            yield TextBatch(*map(tf.constant, batch)), tf.constant(targets_NL), tf.constant(weights_N)

    def _step_of_rows(self, num_rows: int) -> Any:
        """The training step for batches of `num_rows` rows, traced once."""
        if num_rows not in self._compiled:
            config, targets_NL = self._classifier.config, self._train.targets_NL
            self._compiled[num_rows] = self._step.get_concrete_function(
                batch_spec(num_rows, config.max_length, config.batch_size),
                tf.TensorSpec((config.batch_size, targets_NL.shape[1]), targets_NL.dtype),
                tf.TensorSpec((config.batch_size,), tf.float32),
                tf.TensorSpec((2,), tf.int32),
            )
        return self._compiled[num_rows]

    def _train_step(self, batch: TextBatch, targets_NL: tf.Tensor, weights_N: tf.Tensor, key_2: tf.Tensor) -> tf.Tensor:
        config, step = self._classifier.config, self._optimizer.steps
        with tf.GradientTape() as tape:
            seed_2 = tf.stack([key_2[0], tf.cast(step, tf.int32)])
            pooled_NP = tf.nn.experimental.stateless_dropout(self._classifier.pooled(batch), config.dropout, seed_2)
            losses_N = self._loss(self._classifier.head.logits(pooled_NP), targets_NL)
            loss = tf.reduce_sum(losses_N * weights_N) / tf.reduce_sum(weights_N)
        warmup_steps = math.ceil(self._total_steps * config.warmup_share)
        rate = scheduled_rate("linear", step, self._total_steps, warmup_steps, config.learning_rate)
        self._optimizer.apply(tape.gradient(loss, self._variables), rate)
        return loss


def _print_epoch(record: EpochRecord, epochs: int, seconds: float) -> None:
    print(
        f"  epoch {record.epoch}/{epochs}: loss {record.train_loss:.4f}, dev loss {record.dev_loss:.4f}, "
        f"dev weighted F1 {record.dev_weighted_f1:.3f}, {seconds:.0f} s",
        file=sys.stderr,
    )
