"""The labelled set of a comparison."""

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from corpora.labels.labelled_set import Split, label_names, license_counts, load_labelled
from finetune.classifier.cleaned_text import clean_split
from finetune.config import CompareConfig
from finetune.metrics.significance import SEED_DEVIATION, TEXT_DEVIATION, expected_smallest_shown
from pretrain.model.taught import load_taught
from stackbert.core.artifact import MANIFEST, load_manifest
from stackbert.core.errors import StackbertError, require

SPLITS = ("train", "dev", "test")
MOST_SEEDS = 20
"""Number of seeds up to which more are advised; beyond it, more test texts are."""


@dataclass(frozen=True)
class Task:
    """The labels and splits that every trial uses."""

    labels: tuple[str, ...]
    splits: dict[str, Split]
    """'train', 'dev' and 'test'."""
    licenses: dict[str, int] = field(default_factory=dict)
    """Number of training texts by licence, if the source records it."""
    test_from: str = ""
    """The day from which the test texts are, where they are divided by time."""

    def description(self) -> dict[str, str]:
        """Sizes of the splits and licences, for a model card."""
        sizes = {f"{name} texts": f"{len(split.texts):,}" for name, split in self.splits.items()}
        licences = "; ".join(f"{name} ({count:,})" for name, count in self.licenses.items())
        if self.test_from:
            sizes["test texts created from"] = self.test_from
        return sizes | {"licences of the training texts": licences or "not recorded; ask the source of the texts"}

    def cleaned(self) -> "Task":
        """The same task with every text cleaned."""
        return replace(self, splits={name: clean_split(split) for name, split in self.splits.items()})

    def without_test(self) -> "Task":
        """The same task with dev in the place of test, for a choice that must not see test."""
        return replace(self, splits=self.splits | {"test": self.splits["dev"]})

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
    task = Task(label_names(labels), splits, license_counts(labels, "train"), _test_from(labels))
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


def _test_from(labels: Path) -> str:
    """The day that the manifest names; a set made by hand has none."""
    counts = load_manifest(labels).counts if (labels / MANIFEST).is_file() else {}
    return str(counts.get("borders", {}).get("test_from", ""))[: len("2021-06-01")]


def check_not_taught(name: str, checkpoint: Path, task: Task) -> None:
    """Raise StackbertError where a checkpoint was taught the task's labels, or what a dev or test text was a target of.

    Its score would tell what it was taught, not what it can learn from the training texts.
    """
    load_taught(checkpoint).refuse(name, task.labels, {split: task.splits[split].texts for split in ("dev", "test")})


def power_warning(task: Task, config: CompareConfig) -> str:
    """A warning where two encoders that differ by `equivalence_points` will probably not be told apart; else nothing.

    It is reckoned from the number of test texts and seeds, before anything is trained.
    """
    texts, seeds = len(task.splits["test"].texts), len(config.seeds)
    over_seeds = f"{100 * SEED_DEVIATION:.1f} points over seeds"
    if seeds == 1:
        return (
            "comparison with one seed: intervals will cover the chance of the test texts, not that of the seed "
            f"(assumed standard deviation: {over_seeds}); three seeds or more are better"
        )
    expected = expected_smallest_shown(texts, seeds)
    if expected <= config.margin:
        return ""
    enough = next((n for n in range(seeds, MOST_SEEDS + 1) if expected_smallest_shown(texts, n) <= config.margin), 0)
    advice = f"{enough} seeds would do" if enough else "that needs more test texts, and perhaps more seeds"
    return (
        f"comparison with {texts:,} test texts and {seeds} seeds: two encoders must differ by about "
        f"{100 * expected:.1f} points of weighted F1 for that to be shown (80 % power; assumed standard deviations: "
        f"{over_seeds}, and {100 * TEXT_DEVIATION:.0f} points over the root of the number of test texts). To show "
        f"{config.equivalence_points:g}: {advice}"
    )
