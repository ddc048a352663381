"""Small pretraining runs, in this process or one of their own, and ways to end them."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pretrain.config import PretrainConfig
from pretrain.train.state import RunState
from tests.paths import ROOT

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
    """sha256 of the trained weights and of the losses along the way."""
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


RUN = """
import json, sys
from pathlib import Path
from pretrain.config import PretrainConfig
from pretrain.run import pretrain
rows, tokenizer, out, config = sys.argv[1:]
pretrain(Path(rows), Path(tokenizer), Path(out), PretrainConfig(**json.loads(config)))
"""


def run_and_signal(rows: Path, out: Path, settings: dict, asked: int, after: str) -> int:
    """Pretrain in a process of its own, send it a signal as soon as a state numbered `after` or a file is there."""
    command = [sys.executable, "-c", RUN, rows / "rows", rows / "tokenizer", out, json.dumps(settings)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.DEVNULL)
    partial, deadline = out.with_name(out.name + ".partial"), time.monotonic() + 120
    while not (partial / after).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert (partial / after).exists(), "the run ended before it could be stopped"
    process.send_signal(asked)
    return process.wait(120)
