"""The result of a comparison, and its form in comparison.json."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from finetune.classifier.phases import EpochRecord
from finetune.metrics.diagnostics import Calibration, WorstError
from finetune.metrics.labels_saved import LabelsSaved
from finetune.metrics.metrics import LabelMetrics
from finetune.metrics.significance import Difference, Interval
from finetune.trials.search import Search
from finetune.trials.systems import Kind

COMPARISON_FILE = "comparison.json"


@dataclass(frozen=True)
class DataSummary:
    """The labelled set in figures."""

    labels: list[str]
    train: int
    dev: int
    test: int
    labels_per_text: float
    """Mean over the test texts."""
    test_from: str = ""
    """The day from which the test texts are, where they are divided by time."""


@dataclass(frozen=True)
class PhaseScores:
    """The main metrics after one phase."""

    val_acc: Interval
    weighted_f1: Interval


@dataclass(frozen=True)
class Phases:
    """The main metrics after each phase; `head` is None for a system without an encoder."""

    head: PhaseScores | None
    whole: PhaseScores


@dataclass(frozen=True)
class SeedCurves:
    """Both phases' epochs with one seed."""

    seed: int
    head: list[EpochRecord]
    whole: list[EpochRecord]


@dataclass(frozen=True)
class SystemResult:
    """The result of one system over all its seeds; None where a system has no such thing."""

    name: str
    kind: Kind
    checkpoint: str | None
    parameters: int | None
    disk: int | None
    """Size of the encoder's weights, bytes."""
    memory: int | None
    """Peak memory of the process, bytes."""
    vocab_size: int | None
    tokens_per_text: float | None
    """Mean number of tokens before truncation."""
    share_cut: float | None
    """Share of texts that are truncated."""
    texts_per_second: float | None
    adapted_tokens: int | None
    """Tokens of the continued pretraining."""
    phases: Phases
    metrics: dict[str, Interval]
    """All metrics of the whole model, by their names in DEFINITIONS."""
    thresholds: list[list[float]]
    """Distinct decision thresholds of each seed."""
    per_label: list[LabelMetrics]
    """Means over seeds."""
    curves: list[SeedCurves]
    seconds: dict[str, float]
    """Mean duration of each stage with one seed."""
    against_baseline: Difference | None
    """Difference in weighted F1; None for the baseline itself."""
    calibration: Calibration | None
    errors: list[WorstError]
    """With the first seed."""


@dataclass(frozen=True)
class LabelGainPoint:
    """A system trained on a number of labelled texts."""

    texts: int
    weighted_f1: Interval
    against_baseline: Difference | None
    phases: Phases | None = None
    """None in a comparison by a version before 0.4."""
    labels_saved: LabelsSaved | None = None
    """None for the baseline itself, and in a comparison by a version before 0.5."""

    @property
    def amount(self) -> int:
        """Number of training texts."""
        return self.texts


@dataclass(frozen=True)
class TokenGainPoint:
    """A checkpoint pretrained on a number of tokens."""

    tokens: int
    weighted_f1: Interval
    against_baseline: Difference | None

    @property
    def amount(self) -> int:
        """Number of tokens of pretraining."""
        return self.tokens


@dataclass(frozen=True)
class LabelGain:
    """Weighted F1 of a system against the number of labelled texts."""

    name: str
    points: list[LabelGainPoint]


@dataclass(frozen=True)
class TokenGain:
    """Weighted F1 of a system against the number of tokens of pretraining."""

    name: str
    points: list[TokenGainPoint]


@dataclass(frozen=True)
class PretrainingCurve:
    """The validation loss along a pretraining run: the content of its history.json."""

    name: str
    curve: list[dict[str, Any]]


@dataclass(frozen=True)
class Example:
    """A test text, and its tokens by the name of each checkpoint."""

    text: str
    tokens: dict[str, list[str]]


@dataclass(frozen=True)
class Comparison:
    """Everything that comparison.json and the report contain."""

    title: str
    verdict: str
    """The headline."""
    equivalences: list[str]
    """A sentence for each system that is equivalent to the baseline."""
    warnings: list[str]
    data: DataSummary
    recipe: dict[str, Any]
    """FinetuneConfig as a dictionary."""
    seeds: list[int]
    baseline: str
    equivalence_points: float
    """Margin of equivalence, in points of weighted F1."""
    systems: list[SystemResult]
    pretraining: list[PretrainingCurve]
    examples: list[Example]
    definitions: dict[str, str]
    """Definition of each metric."""
    searches: list[Search] = field(default_factory=list)
    """What was tried and chosen on dev for each system, with search_poolings or search_learning_rates."""
    gain_against_labels: list[LabelGain] = field(default_factory=list)
    gain_against_tokens: list[TokenGain] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    """The other settings of CompareConfig."""
    made_from: dict[str, str] = field(default_factory=dict)
    """Identity of each input."""
    versions: dict[str, str] = field(default_factory=dict)
    """Version of Python and of each package that results depend on."""


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values."""
    return asdict(comparison)


def from_json(values: dict[str, Any]) -> Comparison:
    """The comparison that `to_json` converted."""
    return TypeAdapter(Comparison).validate_python(values)


def load_comparison(folder: Path) -> Comparison:
    """Read the comparison.json of a finished comparison."""
    return from_json(json.loads((folder / COMPARISON_FILE).read_text("utf-8")))
