"""Training curves for TensorBoard, and the same figures as the note of a progress bar."""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pretrain.train.step import StepMetrics

REPORT_SECONDS = 10.0


class ProgressLog:
    """Averages the metrics of steps and writes them, every REPORT_SECONDS, to TensorFlow's default summary writer."""

    def __init__(
        self,
        first_step: int,
        batch_tokens: int,
        clock: Callable[[], float] = time.monotonic,
        masks_tokens: bool = True,
    ) -> None:
        self._batch_tokens, self._clock, self._masks_tokens = batch_tokens, clock, masks_tokens
        self._step = self._reported_step = first_step
        self._reported_at = clock()
        self._metrics: list[StepMetrics] = []
        self._skipped_updates = 0

    def add(self, step: int, metrics: Sequence[StepMetrics], skipped_updates: int) -> str:
        """Add the metrics of the steps up to number `step`, and the updates skipped since the run began.

        Returns `report()` if it is due, else ''.
        """
        self._step, self._skipped_updates = step, skipped_updates
        self._metrics += metrics
        return self.report() if self._clock() - self._reported_at >= REPORT_SECONDS else ""

    def report(self) -> str:
        """Write the next point of each curve; returns the figures as a note, '' where no step was added."""
        if not self._metrics:
            return ""
        now, last = self._clock(), self._metrics[-1]
        rate = (self._step - self._reported_step) * self._batch_tokens / max(now - self._reported_at, 1e-9)
        num_tokens = float(np.mean([step.num_tokens for step in self._metrics]))
        masked = float(np.mean([step.num_masked for step in self._metrics])) / max(num_tokens, 1.0)
        padding = 1 - num_tokens / self._batch_tokens
        curves = {**last.means, "gradient_norm": last.gradient_norm, "learning_rate": last.learning_rate}
        curves |= {"skipped_updates": self._skipped_updates, "tokens_per_second": rate}
        curves |= {"padding": padding} | ({"masked": masked} if self._masks_tokens else {})
        for name, value in curves.items():
            tf.summary.scalar(name, value, self._step)
        means = {
            name: math.fsum(step.means[name] for step in self._metrics) / len(self._metrics) for name in last.means
        }
        parts = [f"loss {means['loss']:.3f}"]
        parts += [f"distillation loss {means['distill_loss']:.3f}"] if "distill_loss" in means else []
        parts += [f"{rate:,.0f} tokens/s", f"padding {padding:.1%}"]
        parts += [f"masked {masked:.1%}"] if self._masks_tokens else []
        parts += [f"{self._skipped_updates:,} skipped updates"] if self._skipped_updates else []
        self._reported_step, self._reported_at = self._step, now
        self._metrics.clear()
        return ", ".join(parts)
