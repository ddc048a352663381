"""A fine-tuned classifier in one folder, and labels for a text from it."""

# N texts, P pooled, L labels

import dataclasses
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from finetune.classifier.classifier import Classifier
from finetune.config import FinetuneConfig
from finetune.deploy.hf_head import sequence_classification
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import load_reader

HEAD_FILE = "head.safetensors"
SETTINGS_FILE = "classifier.json"


class LabelScore(NamedTuple):
    """One label of one text."""

    name: str
    score: float
    """Probability."""
    chosen: bool
    """Whether it reaches the label's threshold."""


@dataclass(frozen=True)
class Bundle:
    """A classifier with the names of its labels and the thresholds tuned on dev."""

    classifier: Classifier
    labels: list[str]
    thresholds_L: np.ndarray

    def predict(self, texts: list[str]) -> list[list[LabelScore]]:
        """Every label of each text, the most probable first."""
        scores_NL = self.classifier.probabilities(self.classifier.sequences(texts))
        return [
            [
                LabelScore(self.labels[number], float(scores_L[number]), bool(scores_L[number] >= threshold))
                for number, threshold in ((n, self.thresholds_L[n]) for n in np.argsort(-scores_L, kind="stable"))
            ]
            for scores_L in scores_NL
        ]


def save_bundle(
    classifier: Classifier, tokenizer: Path, labels: Sequence[str], thresholds_L: np.ndarray, folder: Path
) -> None:
    """Write a Hugging Face checkpoint, our head beside it, and `classifier.json` with the rest.

    With 'cls' pooling the checkpoint is one for `AutoModelForSequenceClassification`, labels and thresholds in its
    configuration. transformers' classes know no mean over tokens, so with another pooling it is the encoder's alone.
    """
    shutil.rmtree(folder, ignore_errors=True)  # what a stopped comparison may have left half written
    folder.mkdir(parents=True)
    checkpoint = replace(classifier.checkpoint, weights=classifier.encoder.numpy_weights())
    task = None
    if classifier.config.pooling == "cls":
        task = sequence_classification(classifier.head, checkpoint.architecture, labels, thresholds_L)
    save_checkpoint(checkpoint, tokenizer, folder, task)
    save_file(classifier.head.numpy_weights(), folder / HEAD_FILE)
    settings = {
        "labels": list(labels),
        "thresholds": [float(threshold) for threshold in thresholds_L],
        "config": dataclasses.asdict(classifier.config),
    }
    write_json(folder / SETTINGS_FILE, settings)


def load_bundle(folder: Path) -> Bundle:
    """Load what `save_bundle` wrote; raises StackbertError where the folder holds something else.

    It computes in float32 whatever it was trained in, so that its probabilities are those of any other runtime.
    """
    try:
        settings = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
        config = replace(FinetuneConfig(**settings["config"]), precision="float32")
        labels, thresholds_L = list(settings["labels"]), np.array(settings["thresholds"], np.float64)
        if thresholds_L.shape != (len(labels),):
            raise ValueError(f"{len(labels)} labels, but thresholds of shape {thresholds_L.shape}")
        head = load_file(folder / HEAD_FILE)
    except FileNotFoundError as error:
        missing = next(name for name in (SETTINGS_FILE, HEAD_FILE) if not (folder / name).is_file())
        raise StackbertError(f"{folder}: no {missing}, so this is not a fine-tuned classifier") from error
    except SafetensorError as error:
        raise StackbertError(f"{folder / HEAD_FILE}: cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise StackbertError(f"{folder / SETTINGS_FILE}: cannot be read: {error}") from error
    classifier = Classifier(load_checkpoint(folder), load_reader(folder), len(labels), config)
    expected = {name: tuple(variable.shape) for name, variable in classifier.head.weights.items()}
    found = {name: array.shape for name, array in head.items()}
    if found != expected:
        raise StackbertError(f"{folder / HEAD_FILE}: holds {found}, not {expected}")
    classifier.head.assign(head)
    return Bundle(classifier, labels, thresholds_L)
