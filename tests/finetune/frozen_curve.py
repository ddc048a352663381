"""What a checkpoint's frozen vectors are worth by number of labels, beside another's: `python -m
tests.finetune.frozen_curve LABELS NAME=CHECKPOINT NAME=CHECKPOINT ...`, the first of them the baseline.

The head of phase 1 alone, so that ten seeds take minutes. A seed draws the training texts as well, the same for all
checkpoints. Dev chooses the pooling, for each checkpoint and number of texts with the first seed, and the threshold;
test is read once. Intervals are those of a comparison.
"""

# N texts

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplits, best_epoch
from finetune.config import CompareConfig, FinetuneConfig
from finetune.metrics.labels_saved import CurveResamples, LabelsSaved, Ratio, labels_saved
from finetune.metrics.metrics import evaluate
from finetune.metrics.significance import Prediction, compare_weighted_f1
from finetune.train.features import FeatureStore
from finetune.train.head_training import HeadTraining
from finetune.trials.fine_tuner import load_for
from finetune.trials.task import SPLITS, Task, load_task
from pretrain.config import TextPooling
from stackbert.core.artifact import identify
from stackbert.core.checkpoints import resolve_base

POOLINGS: tuple[TextPooling, ...] = ("mean", "cls")
RESAMPLES = 1_000


@dataclass(frozen=True)
class Point:
    """A checkpoint at one number of training texts."""

    pooling: TextPooling
    predictions: list[Prediction]
    """One for each seed."""


class FrozenCheckpoint:
    """A checkpoint's vectors with each pooling, and heads on them."""

    def __init__(self, checkpoint: str, task: Task, recipe: FinetuneConfig, store: FeatureStore) -> None:
        config = replace(recipe, pooling="cls+mean")  # both poolings from one pass of the encoder
        classifier = Classifier(*load_for(checkpoint, config), len(task.labels), config)
        classifier.compile_features()
        subject = identify(resolve_base(checkpoint))
        encoded = EncodedSplits(*(store.encode(classifier, subject, task.splits[name])[0] for name in SPLITS))
        self._heads = {
            pooling: (self._head(checkpoint, replace(recipe, pooling=pooling), task), _half(encoded, pooling))
            for pooling in POOLINGS
        }

    @staticmethod
    def _head(checkpoint: str, config: FinetuneConfig, task: Task) -> HeadTraining:
        return HeadTraining(Classifier(*load_for(checkpoint, config), len(task.labels), config))

    def point(self, size: int, seeds: int) -> Point:
        """Choose the pooling with the first seed, and train with all."""
        found = {pooling: self._train(pooling, size, 0) for pooling in POOLINGS}
        best = max(POOLINGS, key=lambda pooling: found[pooling][0])
        further = [self._train(best, size, seed)[1] for seed in range(1, seeds)]
        return Point(best, [found[best][1], *further])

    def _train(self, pooling: TextPooling, size: int, seed: int) -> tuple[float, Prediction]:
        """Dev weighted F1, and the prediction on test."""
        head, splits = self._heads[pooling]
        drawn_N = np.random.default_rng(seed).permutation(len(splits.train.sequences))[:size]
        result = head.run(splits._replace(train=splits.train.take(drawn_N)), seed)
        return best_epoch(result.epochs).dev_weighted_f1, (result.test_NL, result.thresholds_L)


def _half(encoded: EncodedSplits, pooling: TextPooling) -> EncodedSplits:
    """The texts with the vectors of one pooling out of 'cls+mean'."""
    halves = [np.split(np.asarray(split.features_NP), 2, axis=1)[pooling == "mean"] for split in encoded]
    return EncodedSplits(*(replace(split, features_NP=half) for split, half in zip(encoded, halves, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("checkpoints", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1_000, 4_000])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--features", type=Path, help="folder in which vectors are kept for the next call")
    options = parser.parse_args()
    task = load_task(options.labels, CompareConfig())
    store = FeatureStore(options.features, save_seconds=60)
    recipe = FinetuneConfig(max_length=options.max_length)
    total = len(task.splits["train"].texts)
    sizes = [*(size for size in sorted(options.sizes) if size < total), total]
    curves: dict[str, list[Point]] = {}
    for named in options.checkpoints:
        name, _, checkpoint = named.partition("=")
        frozen = FrozenCheckpoint(checkpoint, task, recipe, store)
        curves[name] = []
        for number, size in enumerate(sizes):
            curves[name].append(frozen.point(size, options.seeds))
            print_point(task, name, size, curves[name][-1], next(iter(curves.values()))[number])
    print_labels_saved(task, sizes, curves)


def print_point(task: Task, name: str, size: int, own: Point, baseline: Point) -> None:
    targets_NL = task.splits["test"].targets
    f1 = np.mean([evaluate(targets_NL, *each)["weighted_f1"] for each in own.predictions])
    line = f"{name:<28}{size:>8,} labels  {f1:.4f}  ({own.pooling}, {len(own.predictions)} seeds)"
    if own is not baseline:
        margin = CompareConfig().margin
        one = compare_weighted_f1(targets_NL, own.predictions, baseline.predictions, RESAMPLES, margin)
        line += f"  {100 * one.difference:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}] points: {one.verdict}"
    print(line, flush=True)


def print_labels_saved(task: Task, sizes: list[int], curves: dict[str, list[Point]]) -> None:
    resamples = CurveResamples(task.splits["test"].targets, RESAMPLES)
    read = {
        name: np.array([
            resamples.weighted_f1(each.predictions, number, size) for each, size in zip(points, sizes, strict=True)
        ])
        for number, (name, points) in enumerate(curves.items())
    }  # fmt: skip
    baseline, *others = read
    for name in others:
        for size, saved in zip(sizes, labels_saved(sizes, read[name], read[baseline]), strict=True):
            print(f"{name}, {size:,} labels: worth {told(saved)} times as many of {baseline}")


def told(saved: LabelsSaved) -> str:
    """The ratio and its interval."""

    def of(ratio: Ratio) -> str:
        return f"{ratio.beyond + ' than ' if ratio.beyond else ''}{ratio.value:.2f}"

    return f"{of(saved.ratio)} [{of(saved.low)}, {of(saved.high)}]"


if __name__ == "__main__":
    main()
