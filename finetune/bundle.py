"""A fine-tuned classifier in one folder, and labels for a text from it."""

# N texts, H hidden, L labels

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from corpora.artifact import write_json
from corpora.errors import StackbertError
from finetune.classifier import Classifier
from finetune.config import FinetuneConfig
from pretrain.checkpoint import load_checkpoint, save_checkpoint
from tokenizer.reader import load_reader

HEAD_FILE = "head.safetensors"
SETTINGS_FILE = "classifier.json"


@dataclass(frozen=True)
class Prediction:
    """Labels of one text, the most probable first."""

    labels: list[tuple[str, float]]
    """Name and probability of every label."""
    threshold: float

    @property
    def chosen(self) -> list[tuple[str, float]]:
        """Those at or above the threshold."""
        return [(name, score) for name, score in self.labels if score >= self.threshold]


@dataclass(frozen=True)
class Bundle:
    """A classifier with the names of its labels and the threshold tuned on dev."""

    classifier: Classifier
    labels: list[str]
    threshold: float

    def predict(self, texts: list[str]) -> list[Prediction]:
        """The labels of each text."""
        scores_NL = self.classifier.probabilities(self.classifier.sequences(texts))
        orders_NL = np.argsort(-scores_NL, axis=1, kind="stable")
        return [
            Prediction([(self.labels[number], float(scores_L[number])) for number in order_L], self.threshold)
            for scores_L, order_L in zip(scores_NL, orders_NL, strict=True)
        ]


def save_bundle(classifier: Classifier, tokenizer: Path, labels: Sequence[str], threshold: float, folder: Path) -> None:
    """Write the encoder as a Hugging Face checkpoint, the head beside it, and `classifier.json` with the rest."""
    shutil.rmtree(folder, ignore_errors=True)  # what a stopped comparison may have left half written
    folder.mkdir(parents=True)
    checkpoint = replace(classifier.checkpoint, weights=classifier.encoder.numpy_weights())
    save_checkpoint(checkpoint, tokenizer, folder)
    head = {"weight": np.ascontiguousarray(classifier.kernel_HL.numpy().T), "bias": classifier.bias_L.numpy()}
    save_file(head, folder / HEAD_FILE)
    write_json(
        folder / SETTINGS_FILE,
        {"labels": list(labels), "threshold": threshold, "config": dataclasses.asdict(classifier.config)},
    )


def load_bundle(folder: Path) -> Bundle:
    """Load what `save_bundle` wrote; raises StackbertError where the folder holds something else."""
    try:
        settings = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
        config = FinetuneConfig(**settings["config"])
        labels, threshold = list(settings["labels"]), float(settings["threshold"])
        head = load_file(folder / HEAD_FILE)
    except FileNotFoundError as error:
        missing = next(name for name in (SETTINGS_FILE, HEAD_FILE) if not (folder / name).is_file())
        raise StackbertError(f"{folder}: no {missing}, so this is not a fine-tuned classifier") from error
    except SafetensorError as error:
        raise StackbertError(f"{folder / HEAD_FILE}: cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise StackbertError(f"{folder / SETTINGS_FILE}: cannot be read: {error}") from error
    checkpoint = load_checkpoint(folder)
    expected = {"weight": (len(labels), checkpoint.architecture.hidden_dim), "bias": (len(labels),)}
    found = {name: array.shape for name, array in head.items()}
    if found != expected:
        raise StackbertError(f"{folder / HEAD_FILE}: holds {found}, not {expected}")
    classifier = Classifier(checkpoint, load_reader(folder), len(labels), config)
    classifier.kernel_HL.assign(head["weight"].T)
    classifier.bias_L.assign(head["bias"])
    return Bundle(classifier, labels, threshold)
