"""Phase 2 of fine-tuning: the whole model, from the head of phase 1, with early stopping on dev."""

# S steps of a run, L labels

import math
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.classifier import Classifier
from finetune.classifier.losses import positive_weights
from finetune.classifier.phases import (
    EncodedSplit,
    EncodedSplits,
    EpochRecord,
    PhaseResult,
    epoch_record,
    epochs_since_best,
    phase_result,
)
from finetune.train.batches import EpochBatches
from finetune.train.step import CompiledStep, FinetuneStep
from pretrain.model.text_batches import rounded_rows
from pretrain.train.best_weights import BestWeights
from pretrain.train.optimizer import scheduled_rate
from pretrain.train.state import STOPPED_EXIT_CODE, RunState, Stopped
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress

COMPILING_STEPS = 10
"""First steps of the first epoch, which compile the step for nearly all numbers of rows."""


@dataclass
class _Course:
    """How far a run is: what its state holds beside the variables."""

    records: list[EpochRecord] = field(default_factory=list)
    """Of the epochs that are finished."""
    losses: list[float] = field(default_factory=list)
    """Of the steps of the next epoch that are done."""
    seconds: float = 0.0


class WholeTraining:
    """Trains encoder and head with AdamW at a low rate.

    One instance serves all checkpoints of an architecture, training texts and seeds, so that the step is compiled once
    for each number of rows.
    """

    def __init__(self, classifier: Classifier):
        self._classifier, self._replicas = classifier, classifier.replicas
        self._replicas.check("batch_size", classifier.config.batch_size)
        with self._replicas.scope():
            self._step = FinetuneStep(classifier)
            self._best = BestWeights(self._step.variables)
        self._execute = CompiledStep(self._step, self._replicas)

    def run(self, splits: EncodedSplits, seed: int, state: RunState | None = None) -> PhaseResult:
        """Train with one seed; restores the weights of the best epoch on dev.

        A run that was stopped continues from `state` with the same result. Raises StackbertError, naming epoch and
        step, if the loss is not finite, and Stopped where this process was asked to stop.
        """
        start, config, state = time.monotonic(), self._classifier.config, state or RunState(None, math.inf)
        course = self._resume(state, seed)
        before, epoch = course.seconds, self._replicas.agree(len(course.records)) + 1
        weights_L = positive_weights(splits.train.targets_NL, config.balance)
        num_rows = self._num_rows(splits.train, seed)
        since_best = self._since_best(course)
        with state.stopping_cleanly():
            while epoch <= config.epochs and since_best < config.patience:
                batches = self._batches(splits.train, seed, epoch, num_rows)
                is_stopping = self._run_epoch(batches, epoch, weights_L, course, state)
                dev_NL = self._classifier.probabilities(splits.dev.sequences)
                train_loss, course.losses = float(np.mean(course.losses)), []
                course.records.append(epoch_record(epoch, train_loss, config, weights_L, splits.dev.targets_NL, dev_NL))
                course.seconds = before + time.monotonic() - start
                self._print_epoch(course)
                since_best = self._since_best(course)
                if not since_best:
                    self._best.keep()
                self._save_or_stop(state, course, epoch * len(batches), is_stopping, is_due=True)
                epoch += 1
        self._best.restore()
        dev_NL, test_NL = (self._classifier.probabilities(split.sequences) for split in splits[1:])
        seconds = before + time.monotonic() - start
        return phase_result(config, splits.dev, dev_NL, test_NL, course.records, seconds)

    def _resume(self, state: RunState, seed: int) -> _Course:
        """Restore the state if there is one, on all workers."""
        self._step.optimizer.reset()
        self._best.keep()
        encoder, head = self._classifier.encoder, self._classifier.head
        state.track(encoder=encoder, head=head, optimizer=self._step.optimizer, best=self._best)
        course = _Course()
        if state.restore():
            records = [EpochRecord(**record) for record in state.memo["records"]]
            course = _Course(records, state.memo["losses"], state.memo["seconds"])
            print(
                f"  seed {seed}: resuming at epoch {len(records) + 1}, step {len(course.losses) + 1}",
                file=sys.stderr,
            )
        trained = [*self._step.variables, *self._step.optimizer.state, *self._best.values]
        self._replicas.broadcast([head.center, *trained])
        return course

    def _since_best(self, course: _Course) -> int:
        """Epochs since the best one, as the chief reckons them."""
        records = course.records
        return self._replicas.agree(epochs_since_best(records, self._classifier.config.best_by) if records else 0)

    def _save_or_stop(
        self, state: RunState, course: _Course, step: int, is_stopping: bool, is_due: bool = False
    ) -> None:
        """Save the state where it is due, and where a worker was asked to stop, as all learn in the same step."""
        state.memo = vars(course) | {"records": list(map(vars, course.records))}
        if is_stopping or (self._replicas.workers == 1 and state.asked_to_stop):
            state.save(step)
            raise Stopped(STOPPED_EXIT_CODE)
        if is_due:
            state.save(step)
        state.save_if_due(step)

    def _batches(self, train: EncodedSplit, seed: int, epoch: int, num_rows: int = 0) -> EpochBatches:
        padding_id, config = self._classifier.reader.padding_id, self._classifier.config
        return EpochBatches(train, padding_id, config, seed, epoch, self._replicas.count, num_rows)

    def _num_rows(self, train: EncodedSplit, seed: int) -> int:
        """Rows of every slice of a run on accelerators, where a compilation takes longest; 0 on a CPU: as needed."""
        if not self._replicas.accelerated:
            return 0
        epochs = range(1, self._classifier.config.epochs + 1)
        return rounded_rows(max(self._batches(train, seed, epoch).most_rows() for epoch in epochs))

    def _run_epoch(
        self,
        batches: EpochBatches,
        epoch: int,
        weights_L: npt.NDArray[np.float32],
        course: _Course,
        state: RunState,
    ) -> bool:
        """Train one epoch from where `course` is, and add its steps' losses to it.

        Returns whether a worker was asked to stop in the last step, after which the epoch is evaluated first.
        """
        total, start, before, is_stopping = len(batches), time.monotonic(), course.seconds, False
        first = self._replicas.agree(len(course.losses))
        rates_S = self._rates(total)[(epoch - 1) * total :]
        title = f"  epoch {epoch}/{self._classifier.config.epochs}"
        quiet, warm_up = not self._replicas.is_chief, 0 if self._execute else COMPILING_STEPS
        with Progress(title, total, first, unit="steps", warm_up=warm_up, quiet=quiet) as progress:
            for number in range(first, total):
                step = batches.at(number)
                loss, is_stopping = self._execute(step, rates_S[number], weights_L, state.asked_to_stop)
                if not math.isfinite(loss):
                    where = f"epoch {epoch}, step {number + 1}"
                    raise StackbertError(f"{where}: the loss is {loss}; lower the recipe's learning_rate")
                course.losses.append(loss)
                course.seconds = before + time.monotonic() - start
                progress.advance(note=f"loss {loss:.4f}")
                if number + 1 < total:
                    self._save_or_stop(state, course, (epoch - 1) * total + number + 1, is_stopping)
        return is_stopping

    def _rates(self, epoch_steps: int) -> npt.NDArray[np.float32]:
        """The learning rate of every step of a run."""
        config = self._classifier.config
        total_steps = epoch_steps * config.epochs
        warmup_steps = math.ceil(total_steps * config.warmup_share)
        rates = scheduled_rate("linear", tf.range(total_steps), total_steps, warmup_steps, config.learning_rate)
        found: npt.NDArray[np.float32] = rates.numpy()
        return found

    def _print_epoch(self, course: _Course) -> None:
        if self._replicas.is_chief:
            record = course.records[-1]
            print(
                f"  epoch {record.epoch}/{self._classifier.config.epochs}: loss {record.train_loss:.4f}, "
                f"dev loss {record.dev_loss:.4f}, dev weighted F1 {record.dev_weighted_f1:.3f}, {course.seconds:.0f} s",
                file=sys.stderr,
            )
