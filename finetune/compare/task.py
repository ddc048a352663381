"""The labelled set of a comparison."""

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from corpora.labels.labelled_set import Split, label_names, license_counts, load_labelled
from finetune.classifier.cleaned_text import clean_split
from finetune.config import CompareConfig
from stackbert.core.errors import StackbertError, require

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Task:
    """The labels and splits that every trial uses."""

    labels: tuple[str, ...]
    splits: dict[str, Split]
    """'train', 'dev' and 'test'."""
    licenses: dict[str, int] = field(default_factory=dict)
    """Number of training texts by licence, if the source records it."""

    def description(self) -> dict[str, str]:
        """Sizes of the splits and licences, for a model card."""
        sizes = {f"{name} texts": f"{len(split.texts):,}" for name, split in self.splits.items()}
        licences = "; ".join(f"{name} ({count:,})" for name, count in self.licenses.items())
        return sizes | {"licences of the training texts": licences or "not recorded; ask the source of the texts"}

    def cleaned(self) -> "Task":
        """The same task with every text cleaned."""
        return replace(self, splits={name: clean_split(split) for name, split in self.splits.items()})

    def with_train_size(self, size: int) -> "Task":
        """The same task with `size` training texts; a smaller set is a subset of a larger one."""
        train = self.splits["train"]
        chosen = np.sort(np.random.default_rng(0).permutation(len(train.texts))[:size])
        subset = Split([train.ids[n] for n in chosen], [train.texts[n] for n in chosen], train.targets[chosen])
        return replace(self, splits=self.splits | {"train": subset})


def load_task(labels: Path, config: CompareConfig) -> Task:
    """Load a labelled set.

    Raises StackbertError if it has a single label, if splits share ids, or if `config.label_sizes` are too large.
    """
    splits = {split: load_labelled(labels, split) for split in SPLITS}
    task = Task(label_names(labels), splits, license_counts(labels, "train"))
    require(
        len(task.labels) > 1,
        f"{labels}: holds one label; give two or more, as val_acc and ranking metrics mean nothing for one",
    )
    for one, other in itertools.combinations(SPLITS, 2):
        if shared := {*splits[one].ids} & {*splits[other].ids} - {None}:
            raise StackbertError(
                f"{labels}: {len(shared):,} ids of {one} are in {other} too, such as {min(shared)}; put each text in "
                "one split only, as metrics on texts seen in training mean nothing"
            )
    total = len(splits["train"].texts)
    too_large = [size for size in config.label_sizes if size >= total]
    require(not too_large, f"label_sizes {too_large}: must be below {total:,}, the number of training texts")
    return task
