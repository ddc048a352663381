"""Compiles the fine-tuning step and the feature pass for a TPU slice without the TPU."""

from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from finetune.classifier.classifier import ROWS_PER_BATCH, Classifier, batch_spec
from finetune.classifier.text_batches import TextBatch, rounded_rows, slots_in_row
from finetune.compare.trial_runner import load_for
from finetune.config import FinetuneConfig, FinetunePreflightConfig
from finetune.train.batches import LabelledBatch
from finetune.train.step import FinetuneStep
from pretrain.measure.preflight import Preflight, check_compiler, check_slice, chip_count, compile_for, stablehlo
from pretrain.train.replicas import Replicas
from stackbert.core.errors import require


@dataclass(frozen=True)
class FinetunePreflight:
    """The compiled training step of the whole model, and the pass that computes features and probabilities."""

    step: Preflight
    encoding: Preflight
    batch_size: int
    """Texts of a step, over all chips."""
    row_texts: float
    """Mean number of texts in a row."""

    @property
    def training_texts_per_second(self) -> float:
        """Of the slice at the roofline, an upper bound."""
        return self.batch_size / self.step.step_seconds

    @property
    def encoded_texts_per_second(self) -> float:
        """Of the slice at the roofline, an upper bound."""
        return self.encoding.batch_rows * self.row_texts / self.encoding.step_seconds

    def __str__(self) -> str:
        lines = [f"training step, {self.batch_size:,} texts: {self.step}"]
        if self.step.fits:
            lines.append(f"at the roofline, {self.training_texts_per_second:,.0f} texts/s")
        lines += ["", f"features: {self.encoding}"]
        if self.encoding.fits:
            lines.append(f"at the roofline, {self.encoded_texts_per_second:,.0f} texts/s")
        return "\n".join(lines)
