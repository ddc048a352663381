"""What the tests of all objectives ask: gradients of a tiny batch, and runs that are stopped or shared."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Batch, Objective, trained_weights
from pretrain.run import run_pretraining
from pretrain.train.replicas import Replicas
from pretrain.train.step import share_of_gradients
from tests.pretrain.processes import finish, start, start_workers
from tests.pretrain.runs import config, fingerprint, killed_after
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows


def gradients_of(encoder: Encoder, objective: Objective, batch: Batch, micro_batch_rows: int = 0) -> dict[str, Any]:
    """'sums' and gradients by name, computed as a training step does."""
    variables = trained_weights(encoder.weights, objective)

    @tf.function(autograph=False)
    def compute(rows: Batch):
        return share_of_gradients(objective, rows, list(variables.values()), micro_batch_rows, Replicas())

    gradients, sums = compute(batch)
    return {"sums": sums.numpy()} | {name: g.numpy() for name, g in zip(variables, gradients, strict=True)}


def assert_trained(encoder: Encoder, found: Mapping[str, np.ndarray], but: str) -> None:
    """Every weight has a gradient that is not 0, but for those whose names begin with `but`."""
    without = {name for name in encoder.weights if but and name.startswith(but)}
    assert {name for name in encoder.weights if name not in found} == without
    assert [name for name, gradient in found.items() if not np.any(gradient)] == []


def relative_difference(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Norm of the difference of all gradients, divided by their norm; the sums agree."""
    np.testing.assert_allclose(found["sums"], expected["sums"], rtol=1e-5)
    apart, norm = (
        np.sqrt(sum(np.sum(array.astype("f8") ** 2) for array in each))
        for each in (
            [found[name] - array for name, array in expected.items() if name != "sums"],
            [array for name, array in expected.items() if name != "sums"],
        )
    )
    print(f"relative difference {apart / norm:.1e}")
    return float(apart / norm)


@dataclass(frozen=True)
class ObjectiveRuns:
    """Runs of one objective on some rows, and the straight one that they are compared with."""

    made: Path
    """A folder with 'rows' and their 'tokenizer'."""
    base: Path
    settings: dict[str, Any] = field(hash=False)
    straight: Path
    """The output of a run that was not interrupted."""

    def config(self, **changes: Any) -> PretrainConfig:
        return config(base=str(self.base), **self.settings | changes)

    def run(self, out: Path, **changes: Any) -> Path:
        """A run with changed settings; returns `out`."""
        run_pretraining(self.made / "rows", self.made / "tokenizer", out, self.config(**changes))
        return out

    def assert_resumable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: Path, **changes: Any) -> None:
        """A run that is killed three times ends with the bytes of the straight one."""
        for stop in (1, 11, 23):
            with killed_after(stop, monkeypatch):
                self.run(tmp_path / "killed", **changes)
        assert fingerprint(self.run(tmp_path / "killed", **changes)) == fingerprint(straight)

    def assert_shared(self, tmp_path: Path, devices: int, first: str = "", **changes: Any) -> None:
        """Devices that share a batch get the losses of one; each process executes `first` before."""
        shared = dict(vars(self.config(**changes)))
        assert finish(start(self.made, tmp_path / "shared", shared, devices, first=first)) == [0]
        self.assert_same_losses(tmp_path / "shared")

    def assert_shared_by_processes(self, tmp_path: Path) -> None:
        """Two processes that share a run get the losses of one."""
        assert finish(*start_workers(self.made, tmp_path / "shared", dict(vars(self.config())))) == [0, 0]
        self.assert_same_losses(tmp_path / "shared")

    def assert_same_losses(self, out: Path) -> None:
        """A run's validation losses are those of the straight one, but for rounding."""
        np.testing.assert_allclose(losses(out), losses(self.straight), rtol=1e-5)


def straight_run(made: Path, base: Path, settings: dict[str, Any], folder: Path) -> ObjectiveRuns:
    """The run of these settings that others are compared with, in `folder`."""
    runs = ObjectiveRuns(made, base, settings, folder / "straight")
    runs.run(runs.straight)
    return runs


def encoded(labelled: Path, tokenizer: Path, folder: Path, **settings: Any) -> Path:
    """`folder`, with 'rows' of the labelled set's text and their 'tokenizer'."""
    (folder / "tokenizer").symlink_to(tokenizer)
    rows = EncodeConfig(row_length=32, validation_share=0.1, **settings)
    encode_rows(labelled, folder / "tokenizer", folder / "rows", rows)
    return folder


def history(out: Path) -> list[dict[str, float]]:
    """Validation results of a run."""
    found: list[dict[str, float]] = json.loads((out / "history.json").read_text())
    return found


def losses(out: Path) -> list[float]:
    """Validation losses of a run."""
    return [point["loss"] for point in history(out)]
