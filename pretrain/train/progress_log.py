"""The progress line of a run, and its curves for TensorBoard."""

import sys
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pretrain.train.step import StepFigures

REPORT_SECONDS = 10


class Meter:
    """Rate and loss since the last line, and the time left; silent where this worker is not the one to report."""

    def __init__(self, first: int, total: int, batch_tokens: int, is_speaking: bool = True):
        self._total, self._batch_tokens, self._is_speaking = total, batch_tokens, is_speaking
        self._step = self._reported = first
        self._since = time.monotonic()
        self._figures: list[StepFigures] = []
        self._left_out = 0

    def add(self, step: int, figures: Sequence[StepFigures], left_out: int) -> None:
        """Take note of steps up to number `step`; the updates of `left_out` since the run's beginning were left out."""
        self._step, self._left_out = step, left_out
        self._figures += figures

    def report_if_due(self) -> None:
        """Report if the pause has passed."""
        if time.monotonic() - self._since >= REPORT_SECONDS:
            self.report()

    def report(self) -> None:
        """Print the line, and write the curves' next points."""
        if not self._figures or not self._is_speaking:
            return
        now = time.monotonic()
        rate = (self._step - self._reported) * self._batch_tokens / max(now - self._since, 1e-9)
        left = (self._total - self._step) * self._batch_tokens / max(rate, 1e-9)
        means = StepFigures(*np.mean(self._figures, axis=0).tolist())
        padding, masked = 1 - means.tokens / self._batch_tokens, means.guessed / max(means.tokens, 1)
        kept = f"  from the base's vectors {means.distance:.3f}" if means.distance else ""
        left_out = f"  {self._left_out:,} updates left out" if self._left_out else ""
        print(
            f"step {self._step:,}/{self._total:,}  loss {means.loss:.3f}{kept}  {rate:,.0f} tokens/s  "
            f"padding {padding:.1%}  masked {masked:.1%}{left_out}  {_duration(left)} left",
            file=sys.stderr,
        )
        last = self._figures[-1]
        curves = {"loss": last.loss, "accuracy": last.accuracy, "gradient_norm": last.gradient_norm}
        curves |= {"distance": last.distance} if last.distance else {}
        curves |= {"learning_rate": last.learning_rate, "updates_left_out": self._left_out}
        for name, value in (curves | {"tokens_per_second": rate, "padding": padding, "masked": masked}).items():
            tf.summary.scalar(name, value, self._step)
        self._reported, self._since = self._step, now
        self._figures.clear()


def _duration(seconds: float) -> str:
    """
    >>> _duration(90), _duration(9_000), _duration(900_000)
    ('1.5 min', '2.5 h', '10.4 days')
    """
    if seconds < 3_600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
