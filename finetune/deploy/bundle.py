"""A fine-tuned classifier in one folder, and prediction with it."""

# N texts, P pooled, L labels

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from finetune.classifier.classifier import ROWS_PER_BATCH, Classifier
from finetune.config import FinetuneConfig
from finetune.deploy.hf_head import has_hf_head, hf_head
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError, require
from tokenizer.encoding.reader import load_reader

Probability = Annotated[float, Field(ge=0, le=1)]

HEAD_FILE = "head.safetensors"
SETTINGS_FILE = "classifier.json"
ROW_SIZES = (ROWS_PER_BATCH, 8, 1)
"""Numbers of rows of a batch; each is compiled where it is first needed, which takes a second."""


class LabelScore(NamedTuple):
    """A label of a text, with its probability."""

    name: str
    score: float
    chosen: bool
    """Whether the probability reaches the label's threshold."""


@dataclass(frozen=True)
class Bundle:
    """A classifier with its label names and tuned thresholds."""

    classifier: Classifier
    labels: list[str]
    thresholds_L: npt.NDArray[np.float64]

    def predict(self, texts: list[str]) -> list[list[LabelScore]]:
        """All labels of each text, the most probable first."""
        features_NP = self.classifier.features_in_sizes(self.classifier.sequences(texts), ROW_SIZES)
        return self.ranked(self.classifier.head_probabilities(features_NP))

    def ranked(self, scores_NL: npt.NDArray[np.float32]) -> list[list[LabelScore]]:
        """All labels of each text, from their probabilities, the most probable first."""
        return [
            [
                LabelScore(self.labels[n], float(scores_L[n]), bool(scores_L[n] >= self.thresholds_L[n]))
                for n in np.argsort(-scores_L, kind="stable")
            ]
            for scores_L in scores_NL
        ]


def save_bundle(
    classifier: Classifier, tokenizer: Path, labels: Sequence[str], thresholds_L: npt.NDArray[np.float64], folder: Path
) -> None:
    """Write a Hugging Face checkpoint, the head's weights, and classifier.json with labels, thresholds and settings.

    With 'cls' pooling, the checkpoint can be loaded by `AutoModelForSequenceClassification`. Transformers' classes do
    not support mean pooling, nor ModernBERT's our hidden layer; the checkpoint then contains the encoder only.
    """
    shutil.rmtree(folder, ignore_errors=True)  # may be incomplete, from an interrupted comparison
    folder.mkdir(parents=True)
    checkpoint = replace(classifier.checkpoint, weights=classifier.encoder.numpy_weights())
    task = None
    if has_hf_head(classifier.config, checkpoint.architecture.family):
        task = hf_head(classifier.head, checkpoint, labels, thresholds_L)
    save_checkpoint(checkpoint, tokenizer, folder, task)
    save_file(classifier.head.numpy_weights(), folder / HEAD_FILE)
    settings = {
        "labels": list(labels),
        "thresholds": [float(threshold) for threshold in thresholds_L],
        "config": dataclasses.asdict(classifier.config),
    }
    write_json(folder / SETTINGS_FILE, settings)


def require_bundle(folder: Path) -> None:
    """Raise StackbertError unless `folder` has the files that make a checkpoint a classifier."""
    for name in (SETTINGS_FILE, HEAD_FILE):
        if not (folder / name).is_file():
            fault = f"no {name}, so this is not a fine-tuned classifier" if folder.is_dir() else "no such folder"
            raise StackbertError(f"{folder}: {fault}; name one of those in 'models' of a comparison")


def load_bundle(folder: Path) -> Bundle:
    """Load a classifier saved by `save_bundle`; raises StackbertError if the folder is not one.

    Precision is always float32, so that probabilities agree with other runtimes.
    """
    require_bundle(folder)
    settings = _read_settings(folder / SETTINGS_FILE)
    config = replace(settings.config, precision="float32")
    try:
        head = load_file(folder / HEAD_FILE)
    except SafetensorError as error:
        raise StackbertError(f"{folder / HEAD_FILE}: cannot be read: {error}") from error
    checkpoint = load_checkpoint(folder)
    if config.max_length > checkpoint.architecture.max_length:
        raise StackbertError(
            f"{folder / SETTINGS_FILE}: max_length is {config.max_length}, but the checkpoint reads "
            f"{checkpoint.architecture.max_length} tokens at most"
        )
    classifier = Classifier(checkpoint, load_reader(folder), len(settings.labels), config)
    expected = {name: tuple(variable.shape) for name, variable in classifier.head.weights.items()}
    found = {name: array.shape for name, array in head.items()}
    if found != expected:
        raise StackbertError(f"{folder / HEAD_FILE}: holds {found}, not {expected}")
    classifier.head.assign(head)
    return Bundle(classifier, settings.labels, np.array(settings.thresholds, np.float64))


@dataclass(frozen=True)
class _Settings:
    """What classifier.json holds."""

    labels: list[str]
    thresholds: list[Probability]
    config: FinetuneConfig


def _read_settings(path: Path) -> _Settings:
    try:
        values = json.loads(path.read_text("utf-8"))
        unknown = values["config"].keys() - {setting.name for setting in dataclasses.fields(FinetuneConfig)}
        require(not unknown, f"unknown settings: {', '.join(sorted(unknown))}")
        settings = TypeAdapter(_Settings).validate_python(values)
        names, thresholds = settings.labels, settings.thresholds
        require(0 < len(set(names)) == len(names), f"labels: give at least one, each once, not {names}")
        require(len(thresholds) == len(names), f"{len(names)} labels, but {len(thresholds)} thresholds")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StackbertError(f"{path}: cannot be read: {place}: {first['msg']}, not {first['input']!r:.40}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StackbertError(f"{path}: cannot be read: {error}") from error
    return settings
