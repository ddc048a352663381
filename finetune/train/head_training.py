"""Phase 1 of fine-tuning: the head alone, on the frozen encoder's features."""

# E epochs, S steps per epoch, B texts per step, N texts, P pooled, L labels

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.classifier import Classifier
from finetune.classifier.head import Head
from finetune.classifier.losses import label_loss, positive_weights
from finetune.classifier.phases import EncodedSplits, EpochRecord, PhaseResult, epoch_record, phase_result
from pretrain.randomness import stream
from pretrain.train.optimizer import AdamW
from pretrain.train.replicas import HOST

LEAST_DEVIATION = 0.1  # of a feature, as a share of the mean one


class HeadTraining:
    """Trains a classifier's head with Adam on precomputed features; the encoder is not run.

    It takes seconds on this process's CPU, where it gives the same numbers whatever devices the encoder is on. All
    epochs are one call of a function that is traced once for all checkpoints, training texts and seeds.

    Features are standardized by their mean and deviation on the training texts, and the output layer starts from zero
    kernels and the labels' log odds. So one rate and number of epochs suit encoders whose vectors differ in length, and
    few texts as well as many. The classifier gets the equal head for features as they are.
    """

    def __init__(self, classifier: Classifier):
        self._classifier, head = classifier, classifier.head
        with tf.device(HOST):
            self._head = Head(head.pooled_dim, head.hidden_dim, head.num_labels, head.activation)
            self._variables = self._head.variables_in_order
            self._optimizer = AdamW(self._variables, weight_decay=0.0, clip_norm=math.inf)
        features, targets = tf.TensorSpec((None, head.pooled_dim)), tf.TensorSpec((None, head.num_labels), tf.uint8)
        weights, order = tf.TensorSpec((head.num_labels,)), tf.TensorSpec((None, None, None), tf.int64)
        self._train_epochs = tf.function(
            self._epochs, input_signature=[features, targets, weights, order, tf.TensorSpec((2,), tf.int32)]
        )

    def run(self, splits: EncodedSplits, seed: int) -> PhaseResult:
        """Train with one seed; gives the classifier the head of the epoch with the lowest dev loss."""
        start = time.monotonic()
        config, train = self._classifier.config, splits.train
        weights_L = positive_weights(train.targets_NL, config.balance)
        order_ESB = self._order(len(train.sequences), seed)
        mean_P, scale_P = standardization(train.features_NP)
        with tf.device(HOST):
            self._start(train.targets_NL, weights_L, seed)
            key_2 = stream(seed, "head dropout")[:2]
            features_NP = (train.features_NP - mean_P) / scale_P
            losses_E, *weights = self._train_epochs(features_NP, train.targets_NL, weights_L, order_ESB, key_2)
        of_epochs = [
            self._head.for_raw_features(dict(zip(self._head.weights, each, strict=True)), mean_P, scale_P)
            for each in zip(*(w.numpy() for w in weights), strict=True)
        ]
        self._classifier.head.center.assign(mean_P)
        records: list[EpochRecord] = []
        for number, (loss, head) in enumerate(zip(losses_E.numpy().tolist(), of_epochs, strict=True), 1):
            self._classifier.head.assign(head)
            dev_NL = self._classifier.head_probabilities(splits.dev.features_NP)
            records.append(epoch_record(number, loss, config, weights_L, splits.dev.targets_NL, dev_NL))
        best = min(records, key=lambda record: record.dev_loss)
        self._classifier.head.assign(of_epochs[best.epoch - 1])
        dev_NL, test_NL = (self._classifier.head_probabilities(split.features_NP) for split in splits[1:])
        return phase_result(config, splits.dev, dev_NL, test_NL, records, time.monotonic() - start)

    def _start(self, targets_NL: npt.NDArray[np.uint8], weights_L: npt.NDArray[np.float32], seed: int) -> None:
        """Set the head that training starts from; `weights_L` are the weights of positives."""
        positives_L = targets_NL.sum(0, dtype=np.int64)
        odds_L = weights_L * (positives_L + 1) / (len(targets_NL) - positives_L + 1)
        self._head.reset(seed)
        self._head.weights["kernel"].assign(tf.zeros_like(self._head.weights["kernel"]))
        self._head.weights["bias"].assign(np.log(odds_L).astype(np.float32))
        self._optimizer.reset()

    def _order(self, num_texts: int, seed: int) -> npt.NDArray[np.int64]:
        """Indices of the texts of each step, (E, S, B); an epoch drops its last few texts, which differ by epoch."""
        config = self._classifier.config
        batch_size = min(config.batch_size, num_texts)
        steps = num_texts // batch_size
        epochs = range(1, config.head_epochs + 1)
        orders = [np.random.default_rng([seed, epoch]).permutation(num_texts)[: steps * batch_size] for epoch in epochs]
        return np.reshape(orders, (len(epochs), steps, batch_size))

    def _epochs(
        self,
        features_NP: tf.Tensor,
        targets_NL: tf.Tensor,
        weights_L: tf.Tensor,
        order_ESB: tf.Tensor,
        key_2: tf.Tensor,
    ) -> list[Any]:
        """Train all epochs; returns the mean loss of each, (E,), and the head's weights after each, (E, ...)."""
        epochs = tf.shape(order_ESB)[0]
        losses = tf.TensorArray(tf.float32, epochs)
        kept = [tf.TensorArray(tf.float32, epochs, element_shape=each.shape) for each in self._variables]
        for epoch in tf.range(epochs):
            losses = losses.write(epoch, self._epoch(features_NP, targets_NL, weights_L, order_ESB[epoch], key_2))
            kept = [array.write(epoch, each) for array, each in zip(kept, self._variables, strict=True)]
        return [losses.stack(), *(array.stack() for array in kept)]

    def _epoch(
        self, features_NP: tf.Tensor, targets_NL: tf.Tensor, weights_L: tf.Tensor, order_SB: tf.Tensor, key_2: tf.Tensor
    ) -> tf.Tensor:
        """Train on the texts of each row of `order_SB` in turn; returns the mean loss."""
        config, total = self._classifier.config, 0.0
        for step in tf.range(tf.shape(order_SB)[0]):
            indices_B = order_SB[step]
            with tf.GradientTape() as tape:
                seed_2 = tf.stack([key_2[0], tf.cast(self._optimizer.steps, tf.int32)])
                features_BP = tf.gather(features_NP, indices_B)
                dropped_BP = tf.nn.experimental.stateless_dropout(features_BP, config.dropout, seed_2)
                logits_BL = self._head.logits(dropped_BP)
                losses_B = label_loss(config.loss, logits_BL, tf.gather(targets_NL, indices_B), weights_L)
                loss = tf.reduce_mean(losses_B)
            self._optimizer.apply(tape.gradient(loss, self._variables), tf.constant(config.head_learning_rate))
            total += loss
        return total / tf.cast(tf.shape(order_SB)[0], tf.float32)


def standardization(features_NP: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean of each of P features, and its standard deviation, at least a tenth of the features' mean one.

    A feature that hardly varies is not blown up: fine-tuning the encoder would move it by more than that.
    """
    mean_P, deviation_P = features_NP.mean(0, np.float64), features_NP.std(0, np.float64)
    floor = LEAST_DEVIATION * deviation_P.mean() or 1.0  # all texts are alike
    return mean_P.astype(np.float32), np.maximum(deviation_P, floor).astype(np.float32)
