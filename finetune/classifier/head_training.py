"""Phase 1 of fine-tuning: the head alone, on the frozen encoder's features."""

# S steps, B texts per step, P pooled

import math
import time
from typing import Any

import numpy as np
import tensorflow as tf

from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import (
    BestWeights,
    EncodedSplit,
    EpochRecord,
    PhaseResult,
    epoch_record,
    loss_function,
    phase_result,
)
from pretrain.randomness import stream
from pretrain.train.optimizer import AdamW


class HeadTraining:
    """Trains the head with Adam on precomputed features; the encoder is not run.

    One instance serves all seeds of a checkpoint, so that an epoch is traced once.
    """

    def __init__(self, classifier: Classifier, train: EncodedSplit, dev: EncodedSplit, test: EncodedSplit):
        self._classifier, self._train, self._dev, self._test = classifier, train, dev, test
        config = classifier.config
        self._batch_size = min(config.batch_size, len(train.sequences))
        self._steps = len(train.sequences) // self._batch_size  # drops the last few texts, other ones in each epoch
        self._variables = classifier.head.variables_in_order
        self._optimizer = AdamW(self._variables, weight_decay=0.0, clip_norm=math.inf)
        self._rate = tf.constant(config.head_learning_rate)
        self._loss = loss_function(config, train.targets_NL)
        self._features_NP, self._targets_NL = tf.constant(train.features_NP), tf.constant(train.targets_NL)
        self._compiled: Any = None
        """Concrete function of `_train_epoch`."""

    def run(self, seed: int) -> PhaseResult:
        """Train with one seed; restores the weights of the epoch with the lowest dev loss."""
        start = time.monotonic()
        self._classifier.head.reset(seed)
        self._optimizer.reset()
        records: list[EpochRecord] = []
        best = BestWeights(self._variables)
        for epoch in range(1, self._classifier.config.head_epochs + 1):
            train_loss = self._run_epoch(seed, epoch)
            dev_NL = self._classifier.head_probabilities(self._dev.features_NP)
            records.append(epoch_record(epoch, train_loss, self._loss, self._dev.targets_NL, dev_NL))
            best.update(records[-1].dev_loss)
        best.restore()
        dev_NL, test_NL = (self._classifier.head_probabilities(split.features_NP) for split in (self._dev, self._test))
        seconds = time.monotonic() - start
        return phase_result(self._classifier.config, self._dev, dev_NL, test_NL, records, seconds)

    def _run_epoch(self, seed: int, epoch: int) -> float:
        """Train one epoch and return its mean loss."""
        shape = self._steps, self._batch_size
        order = np.random.default_rng([seed, epoch]).permutation(len(self._train.sequences))
        if self._compiled is None:
            specs = tf.TensorSpec(shape, tf.int64), tf.TensorSpec((2,), tf.int32)
            self._compiled = tf.function(self._train_epoch).get_concrete_function(*specs)
        order_SB = tf.constant(order[: math.prod(shape)].reshape(shape))
        return float(self._compiled(order_SB, stream(seed, "head dropout")[:2]))

    def _train_epoch(self, order_SB: tf.Tensor, key_2: tf.Tensor) -> tf.Tensor:
        """Train on the texts of each row of `order_SB` in turn; returns the mean loss."""
        total = 0.0
        for step in tf.range(tf.shape(order_SB)[0]):
            indices_B = order_SB[step]
            with tf.GradientTape() as tape:
                seed_2 = tf.stack([key_2[0], tf.cast(self._optimizer.steps, tf.int32)])
                features_BP = tf.gather(self._features_NP, indices_B)
                dropped_BP = tf.nn.experimental.stateless_dropout(features_BP, self._classifier.config.dropout, seed_2)
                logits_BL = self._classifier.head.logits(dropped_BP)
                loss = tf.reduce_mean(self._loss(logits_BL, tf.gather(self._targets_NL, indices_B)))
            self._optimizer.apply(tape.gradient(loss, self._variables), self._rate)
            total += loss
        return total / tf.cast(tf.shape(order_SB)[0], tf.float32)
