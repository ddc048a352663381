"""Small pretraining runs in this process, and ways to interrupt them."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pretrain.config import PretrainConfig
from pretrain.train.state import RunState
from pretrain.train.step import CompiledStep, StepMetrics

STEPS = 24


def config(**changes) -> PretrainConfig:
    settings = {
        "base": "random-tiny",
        "tokens": STEPS * 4 * 32,
        "batch_rows": 4,
        "learning_rate": 1e-3,
        "precision": "float32",
        "save_seconds": 1e9,
        "evaluations": 1,
        "validation_rows": 8,
    }
    return PretrainConfig(**settings | changes)


def fingerprint(folder: Path) -> str:
    """sha256 of the trained weights and of the validation losses."""
    history = (folder / "history.json").read_bytes()
    return hashlib.sha256((folder / "model.safetensors").read_bytes() + history).hexdigest()


class KilledError(Exception):
    """Stands for a process that ends at once."""


@contextmanager
def killed_after(stop: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The run within ends right after the state of step `stop` is saved."""
    saved = RunState.save_if_due

    def save_then_die(self, step):
        if step == stop:
            self.save(step)
            raise KilledError
        saved(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", save_then_die)
        with pytest.raises(KilledError):
            yield


@contextmanager
def copied_after_each_step(out: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The run within, to `out`, saves after each step, and `copies`/STEP is what it would leave if killed then."""

    def save_and_copy(self, step):
        self.save(step)
        shutil.copytree(out.with_name(out.name + ".partial"), copies / str(step))

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", save_and_copy)
        yield


@contextmanager
def changed_metrics(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[int, StepMetrics], StepMetrics]
) -> Iterator[None]:
    """Steps of the run within, which starts at step 0, report change(number of the step from 0, metrics)."""
    execute, done = CompiledStep.__call__, 0

    def changed(self, batches, count=1, stopping=False):
        nonlocal done
        metrics = execute(self, batches, count, stopping)
        done += count
        return [change(number, one) for number, one in enumerate(metrics, done - count)]

    with monkeypatch.context() as patch:
        patch.setattr(CompiledStep, "__call__", changed)
        yield
