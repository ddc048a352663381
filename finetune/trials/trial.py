"""Trials: a system trained with one seed. Each is saved in its own folder as soon as it is finished."""

# N texts, L labels

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from finetune.classifier.phases import EpochRecord
from stackbert.core.artifact import write_json

SUMMARY_FILE, SCORES_FILE = "trial.json", "test.npy"


@dataclass(frozen=True)
class PhaseMetrics:
    """Test metrics after each phase, by their names in DEFINITIONS."""

    head: dict[str, float] | None
    """None for a system without an encoder."""
    whole: dict[str, float]


@dataclass(frozen=True)
class Curves:
    """Losses and dev metrics of every epoch of both phases."""

    head: list[EpochRecord]
    whole: list[EpochRecord]


@dataclass(frozen=True)
class Cost:
    """Size and speed of a system; None where a system has no such thing."""

    parameters: int
    vocab_size: int
    texts_per_second: float
    """Texts read and passed through the frozen encoder, or labelled by a baseline."""
    memory: int | None
    """Peak memory of the process, bytes."""
    disk: int | None = None
    """Size of the encoder's weights, bytes."""
    tokens_per_text: float | None = None
    """Mean number of tokens before truncation."""
    share_cut: float | None = None
    """Share of texts that are truncated."""


@dataclass(frozen=True)
class TrialSummary:
    """The content of trial.json."""

    phases: PhaseMetrics
    thresholds: list[float]
    """Decision threshold of each label."""
    curves: Curves | None
    """None for a system without an encoder."""
    seconds: dict[str, float]
    """Duration of each stage."""
    cost: Cost
    key: str
    """Identifies everything the trial depends on; see `trial_key`."""
    bundle: bool
    """Whether the classifier was saved."""


@dataclass(frozen=True)
class Trial:
    """The result of one system with one seed."""

    summary: TrialSummary
    test_NL: npt.NDArray[np.floating]
    """Probabilities on test."""

    @property
    def thresholds_L(self) -> npt.NDArray[np.float64]:
        """Decision threshold of each label."""
        return np.array(self.summary.thresholds)


class TrialSpec(NamedTuple):
    """Output folder, seed and cache key of one trial."""

    folder: Path
    seed: int
    key: str


def load_trial(folder: Path) -> Trial | None:
    """The finished trial in `folder`; None if there is none."""
    path = folder / SUMMARY_FILE
    if not path.is_file():
        return None
    return Trial(load_summary(path), np.load(folder / SCORES_FILE, allow_pickle=False))


def load_summary(path: Path) -> TrialSummary:
    """Read a trial.json."""
    return TypeAdapter(TrialSummary).validate_python(json.loads(path.read_text("utf-8")))


def save_trial(folder: Path, trial: Trial) -> None:
    """Write a trial; the summary comes last, as it marks the trial as finished."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / SCORES_FILE, trial.test_NL, allow_pickle=False)
    write_json(folder / SUMMARY_FILE, asdict(trial.summary))
