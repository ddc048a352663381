"""The cells of a comparison: one checkpoint fine-tuned with one seed, kept as soon as it is done."""

# N questions, L labels

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from corpora.labels.labelled_set import Split
from finetune.classifier.classifier import Classifier
from finetune.classifier.cleaned_text import cleaned_split
from finetune.classifier.training import EncodedSplit, Phase, WholeTraining, encode_split, kept_epoch, train_head
from finetune.compare.systems import BASELINES, Row
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import save_bundle
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import evaluate, tune_thresholds
from pretrain.init.transfer import check_vocabulary
from pretrain.model.checkpoint import Checkpoint, load_checkpoint
from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from stackbert.core.process import forget_peak, peak_bytes
from tokenizer.encoding.reader import TextReader, load_reader

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """The labelled set that every cell works on."""

    labels: tuple[str, ...]
    splits: dict[str, Split]
    """'train', 'dev' and 'test'."""
    licenses: dict[str, int] = field(default_factory=dict)
    """Of the training texts, as far as their source names them."""

    def described(self) -> dict[str, str]:
        """Its sizes and licences in words."""
        sizes = {f"{name} texts": f"{len(split.texts):,}" for name, split in self.splits.items()}
        named = "; ".join(f"{name} ({count:,})" for name, count in self.licenses.items())
        return sizes | {"licences of the training texts": named or "not recorded; ask where the texts came from"}

    def cleaned(self) -> "Task":
        """The same with every text cleaned."""
        return replace(self, splits={name: cleaned_split(split) for name, split in self.splits.items()})

    def smaller(self, size: int) -> "Task":
        """The same with `size` training texts; a smaller set is part of a larger one."""
        train = self.splits["train"]
        chosen = np.sort(np.random.default_rng(0).permutation(len(train.texts))[:size])
        part = Split([train.ids[n] for n in chosen], [train.texts[n] for n in chosen], train.targets[chosen])
        return replace(self, splits=self.splits | {"train": part})


@dataclass(frozen=True)
class Cell:
    """What one checkpoint and seed gave."""

    summary: dict[str, Any]
    """Metrics of both phases, curves, costs; JSON."""
    test_NL: np.ndarray
    """Final probabilities on test."""

    @property
    def thresholds_L(self) -> np.ndarray:
        return np.array(self.summary["thresholds"])


class Place(NamedTuple):
    """Where a cell is kept, and what it is a cell of."""

    folder: Path
    seed: int
    key: str
    """Of all that it depends on: see `cell_key`."""


def load_cell(folder: Path) -> Cell | None:
    """A finished cell; None where there is none."""
    path = folder / "cell.json"
    if not path.is_file():
        return None
    return Cell(json.loads(path.read_text("utf-8")), np.load(folder / "test.npy", allow_pickle=False))


def run_baseline(row: Row, task: Task, thresholds: str, place: Place) -> Cell:
    """The cell of a row without a checkpoint, read back where it is finished."""
    cell = load_cell(place.folder)
    if cell is not None:
        return cell
    forget_peak()
    result = BASELINES[row.name](*(task.splits[name] for name in SPLITS), place.seed)
    thresholds_L = tune_thresholds(thresholds, task.splits["dev"].targets, result.dev_NL)
    summary = {
        "phases": {"head": None, "whole": evaluate(task.splits["test"].targets, result.test_NL, thresholds_L)},
        "thresholds": thresholds_L.tolist(),
        "curves": None,
        "seconds": result.seconds,
        "cost": {
            "parameters": result.parameters,
            "vocab_size": result.vocab_size,
            "texts_per_second": result.texts_per_second,
            "memory": peak_bytes(),
        },
        "key": place.key,
        "bundle": False,
    }
    return _kept(place.folder, summary, result.test_NL)


def run_checkpoint(
    name: str, task: Task, config: FinetuneConfig, places: list[Place], bundle: Path | None
) -> Iterator[Cell]:
    """Yield the cell of each seed of one checkpoint; finished ones are read back. `bundle` is for the first's model.

    The frozen encoder's features are computed once for all seeds.
    """
    prepared: _Prepared | None = None
    for place in places:
        cell = load_cell(place.folder)
        if cell is None:
            prepared = prepared or _Prepared(name, task, config)
            cell = prepared.fine_tune(place, bundle if place == places[0] else None)
        yield cell


class _Prepared:
    """A checkpoint loaded and its frozen features computed, ready for any seed."""

    def __init__(self, name: str, task: Task, config: FinetuneConfig):
        self._name, self._task, self._config = name, task, config
        self._source = resolve_base(name)
        checkpoint, reader = load_for(name, config)
        self._classifier = Classifier(checkpoint, reader, len(task.labels), config)
        forget_peak()
        self._classifier.compile_features()
        start = time.monotonic()
        self._splits: dict[str, EncodedSplit] = {
            split: encode_split(self._classifier, data) for split, data in task.splits.items()
        }
        self._feature_seconds = time.monotonic() - start
        self._whole = WholeTraining(self._classifier, *(self._splits[name] for name in SPLITS))

    def fine_tune(self, place: Place, bundle: Path | None) -> Cell:
        self._classifier.encoder.assign(self._classifier.checkpoint.weights)
        train, dev, test = (self._splits[name] for name in SPLITS)
        head = train_head(self._classifier, train, dev, test, place.seed)
        figure = kept_epoch(head.epochs)["dev_weighted_f1"]
        print(f"  seed {place.seed}: head alone, dev weighted F1 {figure:.3f}", file=sys.stderr)
        try:
            whole = self._whole.run(place.seed)
        except StackbertError as error:
            raise StackbertError(f"{self._name}, seed {place.seed}: {error}") from None
        summary = self._summary(head, whole) | {"key": place.key, "bundle": bundle is not None}
        if bundle is not None:
            labels, thresholds_L = self._task.labels, whole.thresholds_L
            save_bundle(self._classifier, self._source, labels, thresholds_L, bundle)
            figures = summary["phases"]["whole"]
            write_model_card(bundle, self._name, self._config, labels, thresholds_L, figures, self._task.described())
        return _kept(place.folder, summary, whole.test_NL)

    def _summary(self, head: Phase, whole: Phase) -> dict[str, Any]:
        targets_NL = self._task.splits["test"].targets
        uncut = np.concatenate([split.lengths for split in self._splits.values()])
        read = [len(sequence) for split in self._splits.values() for sequence in split.sequences]
        weights = self._classifier.checkpoint.weights
        return {
            "phases": {
                "head": evaluate(targets_NL, head.test_NL, head.thresholds_L),
                "whole": evaluate(targets_NL, whole.test_NL, whole.thresholds_L),
            },
            "thresholds": whole.thresholds_L.tolist(),
            "curves": {"head": head.epochs, "whole": whole.epochs},
            "seconds": {"features": self._feature_seconds, "head": head.seconds, "whole": whole.seconds},
            "cost": {
                "parameters": sum(array.size for name, array in weights.items() if not name.startswith("mlm/")),
                "vocab_size": self._classifier.checkpoint.architecture.vocab_size,
                "tokens_per_text": float(np.mean(uncut)),
                "share_cut": float(np.mean(uncut > read)),
                "texts_per_second": len(read) / self._feature_seconds,
                "disk": sum(array.nbytes for name, array in weights.items() if not name.startswith("mlm/")),
                "memory": peak_bytes(),
            },
        }


def load_for(name: str, config: FinetuneConfig) -> tuple[Checkpoint, TextReader]:
    """The checkpoint `name` and its tokenizer; raises StackbertError where they do not fit each other or the recipe."""
    source = resolve_base(name)
    checkpoint, reader = load_checkpoint(source), load_reader(source)
    check_vocabulary(checkpoint, reader)
    longest = checkpoint.architecture.max_length
    if config.max_length > longest:
        raise StackbertError(f"{name}: reads {longest} tokens at most; max_length is {config.max_length}")
    return checkpoint, reader


def _kept(folder: Path, summary: dict[str, Any], test_NL: np.ndarray) -> Cell:
    """Write a cell, its summary last, so that a cell is there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "test.npy", test_NL, allow_pickle=False)
    write_json(folder / "cell.json", summary)
    return Cell(summary, test_NL)
