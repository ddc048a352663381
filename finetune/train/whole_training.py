"""Phase 2 of fine-tuning: the whole model, from the head of phase 1, with early stopping on dev."""

# L labels

import math
import sys
import time

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.classifier import Classifier
from finetune.classifier.losses import positive_weights
from finetune.classifier.phases import (
    BEST_BY,
    BestWeights,
    EncodedSplit,
    EncodedSplits,
    EpochRecord,
    PhaseResult,
    epoch_record,
    phase_result,
)
from finetune.classifier.text_batches import rounded_rows
from finetune.train.batches import EpochBatches
from finetune.train.step import CompiledStep, FinetuneStep
from pretrain.train.optimizer import scheduled_rate
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress

COMPILING_STEPS = 10
"""First steps of the first epoch, which compile the step for nearly all numbers of rows."""


class WholeTraining:
    """Trains encoder and head with AdamW at a low rate.

    One instance serves all checkpoints of an architecture, training texts and seeds, so that the step is compiled once
    for each number of rows.
    """

    def __init__(self, classifier: Classifier):
        self._classifier = classifier
        classifier.replicas.check("batch_size", classifier.config.batch_size)
        with classifier.replicas.scope():
            self._step = FinetuneStep(classifier)
        self._execute = CompiledStep(self._step, classifier.replicas)

    def run(self, splits: EncodedSplits, seed: int) -> PhaseResult:
        """Train with one seed; restores the weights of the best epoch on dev.

        Raises StackbertError, naming epoch and step, if the loss is not finite.
        """
        start = time.monotonic()
        config = self._classifier.config
        self._step.optimizer.reset()
        weights_L = positive_weights(splits.train.targets_NL, config.balance)
        num_rows = self._num_rows(splits.train, seed)
        best = BestWeights(self._step.variables)
        records: list[EpochRecord] = []
        for epoch in range(1, config.epochs + 1):
            train_loss = self._run_epoch(self._batches(splits.train, seed, epoch, num_rows), epoch, weights_L)
            dev_NL = self._classifier.probabilities(splits.dev.sequences)
            records.append(epoch_record(epoch, train_loss, config, weights_L, splits.dev.targets_NL, dev_NL))
            _print_epoch(records[-1], config.epochs, time.monotonic() - start)
            best.update(BEST_BY[config.best_by](records[-1]))
            if best.epochs_since >= config.patience:
                break
        best.restore()
        dev_NL, test_NL = (self._classifier.probabilities(split.sequences) for split in splits[1:])
        return phase_result(config, splits.dev, dev_NL, test_NL, records, time.monotonic() - start)

    def _batches(self, train: EncodedSplit, seed: int, epoch: int, num_rows: int = 0) -> EpochBatches:
        reader, config, replicas = self._classifier.reader, self._classifier.config, self._classifier.replicas
        return EpochBatches(train, reader.padding_id, config, seed, epoch, replicas.count, num_rows)

    def _num_rows(self, train: EncodedSplit, seed: int) -> int:
        """Rows of every slice of a run on accelerators, where a compilation takes longest; 0 on a CPU: as needed."""
        if not self._classifier.replicas.accelerated:
            return 0
        epochs = range(1, self._classifier.config.epochs + 1)
        return rounded_rows(max(self._batches(train, seed, epoch).most_rows() for epoch in epochs))

    def _run_epoch(self, batches: EpochBatches, epoch: int, weights_L: npt.NDArray[np.float32]) -> float:
        """Train one epoch and return its mean loss."""
        losses: list[float] = []
        title = f"  epoch {epoch}/{self._classifier.config.epochs}"
        rates_S = self._rates(len(batches))[(epoch - 1) * len(batches) :]
        with Progress(title, len(batches), unit="steps", warm_up=0 if self._execute else COMPILING_STEPS) as progress:
            for number in range(len(batches)):
                loss, _ = self._execute(batches.at(number), rates_S[number], weights_L)
                losses.append(loss)
                if not math.isfinite(losses[-1]):
                    where = f"epoch {epoch}, step {len(losses)}"
                    raise StackbertError(f"{where}: the loss is {losses[-1]}; lower the recipe's learning_rate")
                progress.advance(note=f"loss {losses[-1]:.4f}")
        return float(np.mean(losses))

    def _rates(self, epoch_steps: int) -> npt.NDArray[np.float32]:
        """The learning rate of every step of a run."""
        config = self._classifier.config
        total_steps = epoch_steps * config.epochs
        warmup_steps = math.ceil(total_steps * config.warmup_share)
        rates = scheduled_rate("linear", tf.range(total_steps), total_steps, warmup_steps, config.learning_rate)
        found: npt.NDArray[np.float32] = rates.numpy()
        return found


def _print_epoch(record: EpochRecord, epochs: int, seconds: float) -> None:
    print(
        f"  epoch {record.epoch}/{epochs}: loss {record.train_loss:.4f}, dev loss {record.dev_loss:.4f}, "
        f"dev weighted F1 {record.dev_weighted_f1:.3f}, {seconds:.0f} s",
        file=sys.stderr,
    )
