"""What both phases of fine-tuning share: encoded splits, epoch records, the best epoch's weights and the result."""

# N texts, P pooled, L labels

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.losses import label_loss
from finetune.config import FinetuneConfig
from finetune.metrics.metrics import first_label_accuracy, tune_threshold, tune_thresholds
from pretrain.train.replicas import HOST


@dataclass(frozen=True)
class EpochRecord:
    """Losses and dev metrics of one epoch."""

    epoch: int
    train_loss: float
    dev_loss: float
    dev_weighted_f1: float
    """At the threshold that is best for this epoch."""
    dev_val_acc: float


BEST_BY: dict[str, Callable[[EpochRecord], float]] = {
    "loss": lambda record: record.dev_loss,
    "weighted_f1": lambda record: -record.dev_weighted_f1,
}
"""Criterion of each value of FinetuneConfig.best_by; the best epoch has the lowest."""


@dataclass(frozen=True)
class EncodedSplit:
    """A split, encoded for one classifier."""

    sequences: list[list[int]]
    """Token ids of each text."""
    lengths: list[int]
    """Number of tokens of each text before truncation."""
    targets_NL: npt.NDArray[np.uint8]
    features_NP: npt.NDArray[np.float32]
    """Pooled vectors of the frozen encoder."""

    def take(self, indices_N: npt.NDArray[np.int64]) -> "EncodedSplit":
        """The texts at these indices."""
        return EncodedSplit(
            [self.sequences[n] for n in indices_N],
            [self.lengths[n] for n in indices_N],
            self.targets_NL[indices_N],
            self.features_NP[indices_N],
        )

    def repeated(self, num_texts: int) -> "EncodedSplit":
        """`num_texts` texts: these, again and again."""
        return self.take(np.resize(np.arange(len(self.sequences)), num_texts))


class EncodedSplits(NamedTuple):
    """The splits of a task, encoded for one classifier."""

    train: EncodedSplit
    dev: EncodedSplit
    test: EncodedSplit


@dataclass
class PhaseResult:
    """Result of one phase of fine-tuning."""

    dev_NL: npt.NDArray[np.float32]
    """Probabilities on dev with the best epoch's weights."""
    test_NL: npt.NDArray[np.float32]
    """Probabilities on test with the same weights."""
    thresholds_L: npt.NDArray[np.float64]
    """Decision thresholds, tuned on dev."""
    epochs: list[EpochRecord] = field(default_factory=list)
    seconds: float = 0.0


def epochs_since_best(epochs: Sequence[EpochRecord], best_by: str) -> int:
    """Epochs after the best one; 0 if the last one is the best."""
    return len(epochs) - best_epoch(epochs, best_by).epoch


def best_epoch(epochs: Sequence[EpochRecord], best_by: str = "loss") -> EpochRecord:
    """The epoch whose weights were restored: the best on dev, the first of equals. The head's phase uses 'loss'."""
    return min(epochs, key=BEST_BY[best_by])


def epoch_record(
    epoch: int,
    train_loss: float,
    config: FinetuneConfig,
    positive_weights_L: npt.NDArray[np.float32],
    targets_NL: npt.NDArray[np.uint8],
    dev_NL: npt.NDArray[np.float32],
) -> EpochRecord:
    """Losses and dev metrics of one epoch, from the dev texts' targets and probabilities."""
    scores_NL = np.clip(dev_NL.astype(np.float64), 1e-7, 1 - 1e-7)
    logits_NL = np.log(scores_NL) - np.log1p(-scores_NL)
    with tf.device(HOST):
        losses_N = label_loss(config.loss, tf.constant(logits_NL, tf.float32), targets_NL, positive_weights_L)
        dev_loss = float(tf.reduce_mean(losses_N))
    return EpochRecord(
        epoch=epoch,
        train_loss=train_loss,
        dev_loss=dev_loss,
        dev_weighted_f1=tune_threshold(targets_NL, dev_NL)[1],
        dev_val_acc=first_label_accuracy(targets_NL, dev_NL),
    )


def phase_result(
    config: FinetuneConfig,
    dev: EncodedSplit,
    dev_NL: npt.NDArray[np.float32],
    test_NL: npt.NDArray[np.float32],
    epochs: list[EpochRecord],
    seconds: float,
) -> PhaseResult:
    """The result of a phase, with thresholds tuned on dev."""
    thresholds_L = tune_thresholds(config.thresholds, dev.targets_NL, dev_NL)
    return PhaseResult(dev_NL, test_NL, thresholds_L, epochs, seconds)
