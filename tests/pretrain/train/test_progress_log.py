"""Averages of step metrics: the note of the progress bar, and TensorBoard's curves."""

import tensorflow as tf

from pretrain.train.progress_log import REPORT_SECONDS, ProgressLog
from pretrain.train.step import StepMetrics

METRICS = StepMetrics(
    {"loss": 2.0, "accuracy": 0.5}, 1.0, num_masked=90.0, num_tokens=900.0, num_stopping=0.0, learning_rate=1e-4
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_note_has_means_since_the_last_one():
    clock = Clock()
    log = ProgressLog(0, batch_tokens=1_000, clock=clock)
    assert log.add(1, [METRICS], 0) == "", "not due"
    clock.now = REPORT_SECONDS
    note = log.add(2, [METRICS._replace(means={"loss": 4.0, "accuracy": 0.5})], 0)
    assert note == "loss 3.000, 200 tokens/s, padding 10.0%, masked 10.0%"
    log.add(4, [METRICS] * 2, 1_200)
    assert log.report().endswith("masked 10.0%, 1,200 skipped updates")
    distilled = METRICS._replace(means=METRICS.means | {"distill_loss": 0.25})
    log.add(5, [distilled], 0)
    assert log.report().startswith("loss 2.000, distillation loss 0.250, ")
    assert log.report() == "", "no step since"


def test_curves_are_written_under_their_names(monkeypatch):
    written = {}
    monkeypatch.setattr(tf.summary, "scalar", lambda name, value, step: written.update({name: (value, step)}))
    log = ProgressLog(0, batch_tokens=1_000, clock=Clock())
    log.add(3, [METRICS], 7)
    log.report()
    assert written["loss"] == (2.0, 3)
    assert written["skipped_updates"] == (7, 3)
    assert written.keys() >= {"accuracy", "gradient_norm", "learning_rate", "tokens_per_second", "padding", "masked"}
