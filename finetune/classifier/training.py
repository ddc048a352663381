"""Two-phase fine-tuning of one checkpoint with one seed."""

# N texts, B texts of a step, P pooled, L labels

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from corpora.labels.labelled_set import Split
from finetune.classifier.classifier import LINE_SECONDS, Classifier
from finetune.classifier.losses import label_loss, positive_weights
from finetune.classifier.text_batches import TextBatch, training_batches
from finetune.classifier.text_parts import read_texts
from finetune.config import FinetuneConfig
from finetune.metrics.metrics import first_label_accuracy, tune_threshold, tune_thresholds
from pretrain.randomness import stream
from pretrain.train.device import whole_step_compiled
from pretrain.train.optimizer import AdamW, scheduled_rate
from stackbert.core.errors import StackbertError
from stackbert.core.progress import Progress

EpochRecord = dict[str, float]
BEST_BY: dict[str, Callable[[EpochRecord], float]] = {
    "loss": lambda record: record["dev_loss"],
    "weighted_f1": lambda record: -record["dev_weighted_f1"],
}
"""Of FinetuneConfig.best_by: what is lowest at the best epoch."""
LossOf = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class EncodedSplit:
    """A split as one classifier reads it."""

    sequences: list[list[int]]
    lengths: list[int]
    """Tokens of each text before it was cut."""
    targets_NL: np.ndarray
    features_NP: np.ndarray
    """Of the frozen encoder, before any fine-tuning."""


@dataclass
class Phase:
    """What one phase of fine-tuning gave."""

    dev_NL: np.ndarray
    """Probabilities on dev, from the best epoch's weights."""
    test_NL: np.ndarray
    thresholds_L: np.ndarray
    """Tuned on dev; all the same where the recipe asks for one."""
    epochs: list[EpochRecord] = field(default_factory=list)
    seconds: float = 0.0


def encode_split(classifier: Classifier, split: Split) -> EncodedSplit:
    """Token ids and frozen features of a split; done once for all seeds."""
    sequences, lengths = read_texts(split.texts, classifier.reader, classifier.config)
    return EncodedSplit(sequences, lengths, split.targets, classifier.features(sequences))


def train_head(classifier: Classifier, train: EncodedSplit, dev: EncodedSplit, test: EncodedSplit, seed: int) -> Phase:
    """Phase 1: the head alone, with Adam, on features computed before; the encoder is not run.

    The weights of the epoch with the lowest dev loss stay in `classifier`.
    """
    start = time.monotonic()
    classifier.head.reset(seed)
    config = classifier.config
    size = min(config.batch_size, len(train.sequences))
    features_NP, targets_NL = tf.constant(train.features_NP), tf.constant(train.targets_NL)
    variables, loss_of = classifier.head.variables_in_order, _loss_of(config, train)
    optimizer = AdamW(variables, weight_decay=0.0, clip_norm=math.inf)
    rate = tf.constant(config.head_learning_rate)

    @tf.function
    def run_epoch(order_SB):
        total = 0.0
        for step in tf.range(tf.shape(order_SB)[0]):
            numbers_B = order_SB[step]
            with tf.GradientTape() as tape:
                seed_2 = stream(seed, "head dropout", tf.cast(optimizer.steps, tf.int32))[:2]
                chosen_BP = tf.nn.experimental.stateless_dropout(
                    tf.gather(features_NP, numbers_B), config.dropout, seed_2
                )
                loss = tf.reduce_mean(loss_of(classifier.head.logits(chosen_BP), tf.gather(targets_NL, numbers_B)))
            optimizer.apply(tape.gradient(loss, variables), rate)
            total += loss
        return total / tf.cast(tf.shape(order_SB)[0], tf.float32)

    records = []
    best = _Best(variables)
    steps = len(train.sequences) // size  # the few texts left over come in another epoch, as the order changes
    for epoch in range(1, config.head_epochs + 1):
        order = np.random.default_rng([seed, epoch]).permutation(len(train.sequences))[: steps * size]
        train_loss = float(run_epoch(tf.constant(order.reshape(steps, size))))
        dev_NL = classifier.head_probabilities(dev.features_NP)
        records.append(_record(epoch, train_loss, loss_of, dev.targets_NL, dev_NL))
        best.offer(records[-1]["dev_loss"])
    best.restore()
    dev_NL, test_NL = (classifier.head_probabilities(split.features_NP) for split in (dev, test))
    thresholds_L = tune_thresholds(config.thresholds, dev.targets_NL, dev_NL)
    return Phase(dev_NL, test_NL, thresholds_L, records, time.monotonic() - start)


def kept_epoch(epochs: Sequence[EpochRecord], best_by: str = "loss") -> EpochRecord:
    """The epoch whose weights a phase kept: the first of the best on dev; the head's is always the best by loss."""
    return min(epochs, key=BEST_BY[best_by])


class WholeTraining:
    """Phase 2: encoder and head together at a low rate, from the head of phase 1, with early stopping on dev.

    Made once for a checkpoint and used for each seed, as tracing and compiling the step takes a while.
    """

    def __init__(self, classifier: Classifier, train: EncodedSplit, dev: EncodedSplit, test: EncodedSplit):
        self._classifier, self._train, self._dev, self._test = classifier, train, dev, test
        config = classifier.config
        trained = [(variable, 1.0) for variable in classifier.head.variables_in_order]
        trained += classifier.encoder_rates(config.layer_decay)
        self._variables, rates = map(list, zip(*trained, strict=True))
        self._optimizer = AdamW(self._variables, config.weight_decay, config.clip_norm, rates=rates)
        self._loss_of = _loss_of(config, train)
        self._total_steps = math.ceil(len(train.sequences) / config.batch_size) * config.epochs
        self._step = tf.function(self._train_step, jit_compile=whole_step_compiled(), autograph=False)

    def run(self, seed: int) -> Phase:
        """Fine-tune with one seed; the weights of the best epoch on dev stay in the classifier.

        Raises StackbertError naming epoch and step where the loss is no longer a number.
        """
        start = time.monotonic()
        config = self._classifier.config
        self._optimizer.reset()
        key_2 = stream(seed, "dropout")[:2]
        best = _Best(self._variables)
        criterion = BEST_BY[config.best_by]
        records: list[EpochRecord] = []
        for epoch in range(1, config.epochs + 1):
            losses: list[float] = []
            steps = self._total_steps // config.epochs
            progress = Progress(f"  epoch {epoch:>2}/{config.epochs}, steps", steps, line_seconds=LINE_SECONDS)
            for batch in _epoch_arguments(self._classifier, self._train, seed, epoch):
                losses.append(float(self._step(*batch, key_2)))
                if not math.isfinite(losses[-1]):
                    where = f"epoch {epoch}, step {len(losses)}"
                    raise StackbertError(f"{where}: the loss is {losses[-1]}; lower the recipe's learning_rate")
                progress.show(len(losses))
            dev_NL = self._classifier.probabilities(self._dev.sequences)
            records.append(_record(epoch, float(np.mean(losses)), self._loss_of, self._dev.targets_NL, dev_NL))
            _print_epoch(records[-1], config.epochs, time.monotonic() - start)
            best.offer(criterion(records[-1]))
            if best.since >= config.patience:
                break
        best.restore()
        dev_NL, test_NL = (self._classifier.probabilities(split.sequences) for split in (self._dev, self._test))
        thresholds_L = tune_thresholds(config.thresholds, self._dev.targets_NL, dev_NL)
        return Phase(dev_NL, test_NL, thresholds_L, records, time.monotonic() - start)

    def _train_step(self, batch: TextBatch, targets_NL: tf.Tensor, weights_N: tf.Tensor, key_2: tf.Tensor) -> tf.Tensor:
        config, done = self._classifier.config, self._optimizer.steps
        with tf.GradientTape() as tape:
            seed_2 = tf.stack([key_2[0], tf.cast(done, tf.int32)])
            pooled_NP = tf.nn.experimental.stateless_dropout(self._classifier.pooled(batch), config.dropout, seed_2)
            losses_N = self._loss_of(self._classifier.head.logits(pooled_NP), targets_NL)
            loss = tf.reduce_sum(losses_N * weights_N) / tf.reduce_sum(weights_N)
        warmup = math.ceil(self._total_steps * config.warmup_share)
        rate = scheduled_rate("linear", done, self._total_steps, warmup, config.learning_rate)
        self._optimizer.apply(tape.gradient(loss, self._variables), rate)
        return loss


class _Best:
    """A copy of the variables as they were at the best epoch: the one that was offered with the lowest value."""

    def __init__(self, variables: list[tf.Variable]):
        self._variables = variables
        self._lowest = math.inf
        self._values = [variable.numpy() for variable in variables]
        self.since = 0
        """Epochs since then."""

    def offer(self, value: float) -> None:
        self.since += 1
        if value < self._lowest:
            self._lowest, self.since = value, 0
            self._values = [variable.numpy() for variable in self._variables]

    def restore(self) -> None:
        for variable, value in zip(self._variables, self._values, strict=True):
            variable.assign(value)


def _epoch_arguments(classifier: Classifier, train: EncodedSplit, seed: int, epoch: int) -> Iterator[tuple[Any, ...]]:
    """Arguments of each step of an epoch; the last batch is filled up to size with texts of weight 0."""
    config = classifier.config
    batches = training_batches(train.sequences, classifier.reader, config.max_length, config.batch_size, (seed, epoch))
    for batch, numbers in batches:
        fill = config.batch_size - len(numbers)
        weights_N = np.pad(np.ones(len(numbers), np.float32), (0, fill))
        targets_NL = np.pad(train.targets_NL[numbers], ((0, fill), (0, 0)))
        batch = batch._replace(slots_N=np.pad(batch.slots_N, (0, fill)))
        yield TextBatch(*map(tf.constant, batch)), tf.constant(targets_NL), tf.constant(weights_N)


def _loss_of(config: FinetuneConfig, train: EncodedSplit) -> LossOf:
    """The recipe's loss of each text, from logits and targets, both (N, L)."""
    weights_L = tf.constant(positive_weights(train.targets_NL, config.balance))
    return lambda logits_NL, targets_NL: label_loss(config.loss, logits_NL, targets_NL, weights_L)


def _record(epoch: int, train_loss: float, loss_of: LossOf, targets_NL: np.ndarray, dev_NL: np.ndarray) -> EpochRecord:
    scores_NL = np.clip(dev_NL.astype(np.float64), 1e-7, 1 - 1e-7)
    logits_NL = np.log(scores_NL) - np.log1p(-scores_NL)
    return {
        "epoch": epoch,
        "train_loss": train_loss,
        "dev_loss": float(tf.reduce_mean(loss_of(tf.constant(logits_NL, tf.float32), targets_NL))),
        "dev_weighted_f1": tune_threshold(targets_NL, dev_NL)[1],
        "dev_val_acc": first_label_accuracy(targets_NL, dev_NL),
    }


def _print_epoch(record: EpochRecord, epochs: int, seconds: float) -> None:
    print(
        f"  epoch {record['epoch']:>2}/{epochs}  loss {record['train_loss']:.4f}  dev loss {record['dev_loss']:.4f}  "
        f"dev weighted F1 {record['dev_weighted_f1']:.3f}  {seconds:.0f} s",
        file=sys.stderr,
    )
