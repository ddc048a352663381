"""What a checkpoint's frozen vectors are worth by number of labels, beside another's: `python -m
tests.finetune.frozen_curve LABELS NAME=CHECKPOINT NAME=CHECKPOINT ...`, the first of them the baseline.

Logistic regression (scikit-learn) on standardized vectors. Pooling and regularization are chosen on dev for each
checkpoint and size, with the first draw of training texts; the threshold is tuned on dev, test is read once. A seed
draws the training texts, and one draw serves all checkpoints. Intervals are those of a comparison.
"""

# N texts, P pooled, L labels

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from finetune.config import CompareConfig
from finetune.embed import embed
from finetune.metrics.labels_saved import CurveResamples, labels_saved
from finetune.metrics.metrics import evaluate, tune_thresholds
from finetune.metrics.significance import Prediction, compare_weighted_f1
from finetune.trials.task import SPLITS, Task, load_task
from pretrain.config import TextPooling
from stackbert.core.artifact import identify
from stackbert.core.checkpoints import resolve_base

POOLINGS: tuple[TextPooling, ...] = ("mean", "cls")
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1)  # scikit-learn's C
RESAMPLES = 1_000

Features = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Point:
    """A checkpoint at one number of training texts."""

    chosen: tuple[TextPooling, float]
    predictions: Sequence[Prediction]
    """One for each seed."""
    f1: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("checkpoints", nargs="+", metavar="NAME=CHECKPOINT")
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1_000, 4_000])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--features", type=Path, help="folder in which vectors are kept for the next call")
    options = parser.parse_args()
    task = load_task(options.labels, CompareConfig())
    sizes = [*(size for size in sorted(options.sizes) if size < len(task.splits["train"].texts))]
    sizes.append(len(task.splits["train"].texts))
    curves: dict[str, list[Point]] = {}
    for named in options.checkpoints:
        name, _, checkpoint = named.partition("=")
        features = {pooling: vectors(task, checkpoint, pooling, options.features) for pooling in POOLINGS}
        curves[name] = []
        for size in sizes:
            seeds = options.seeds if size < sizes[-1] else 1  # all texts can be drawn in one way only
            curves[name].append(point(task, features, size, seeds))
            print_point(task, name, size, curves[name][-1], next(iter(curves.values()))[len(curves[name]) - 1])
    print_labels_saved(task, sizes, curves)


def vectors(task: Task, checkpoint: str, pooling: TextPooling, folder: Path | None) -> Features:
    """Vectors of all splits, (N, P) each; read from `folder` if they are there."""
    texts = [text for split in SPLITS for text in task.splits[split].texts]
    key = hashlib.sha256("\0".join([identify(resolve_base(checkpoint)), pooling, *texts]).encode()).hexdigest()
    path = folder and folder / f"{key}.npy"
    if path and path.is_file():
        vectors_NP = np.load(path)
    else:
        vectors_NP = embed(texts, checkpoint, pooling, normalize=False)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, vectors_NP)
    ends = np.cumsum([len(task.splits[split].texts) for split in SPLITS])[:-1]
    return dict(zip(SPLITS, np.split(vectors_NP, ends), strict=True))


def point(task: Task, features: dict[TextPooling, Features], size: int, seeds: int) -> Point:
    """Choose with the first seed, and predict with all."""
    first = draw(task, size, 0)
    grid = [(pooling, penalty) for pooling in POOLINGS for penalty in PENALTIES]
    tried = [predict(task, features[pooling], first, penalty, "dev") for pooling, penalty in grid]
    scores = [evaluate(task.splits["dev"].targets, *each)["weighted_f1"] for each in tried]
    pooling, penalty = chosen = grid[int(np.argmax(scores))]
    draws = [draw(task, size, seed) for seed in range(seeds)]
    predictions = [predict(task, features[pooling], drawn, penalty, "test") for drawn in draws]
    f1 = [evaluate(task.splits["test"].targets, *each)["weighted_f1"] for each in predictions]
    return Point(chosen, predictions, float(np.mean(f1)))


def draw(task: Task, size: int, seed: int) -> npt.NDArray[np.int64]:
    """Indices of the training texts of a seed; a smaller draw is a part of a larger one."""
    return np.random.default_rng(seed).permutation(len(task.splits["train"].texts))[:size]


def predict(task: Task, features: Features, drawn_N: npt.NDArray[np.int64], penalty: float, split: str) -> Prediction:
    """Probabilities (N, L) of a split, and the threshold of each label, tuned on dev."""
    scaler = StandardScaler().fit(features["train"][drawn_N])
    scaled = {"train": scaler.transform(features["train"][drawn_N])}
    scaled |= {name: scaler.transform(features[name]) for name in {"dev", split}}
    targets_NL = task.splits["train"].targets[drawn_N]
    columns = Parallel(n_jobs=-1, prefer="threads")(
        delayed(_probabilities)(scaled, targets_N, penalty) for targets_N in targets_NL.T
    )
    dev_NL, split_NL = (np.stack([column[name] for column in columns], 1) for name in ("dev", split))
    return split_NL, tune_thresholds("global", task.splits["dev"].targets, dev_NL)


def _probabilities(scaled: Features, targets_N: npt.NDArray[np.uint8], penalty: float) -> Features:
    """Probabilities of one label on the splits other than train; its share where the draw has one class only."""
    if targets_N.min() == targets_N.max():
        return {name: np.full(len(x_NP), targets_N[0], np.float32) for name, x_NP in scaled.items()}
    model = LogisticRegression(C=penalty, max_iter=500).fit(scaled["train"], targets_N)
    return {name: model.predict_proba(x_NP)[:, 1] for name, x_NP in scaled.items() if name != "train"}


def print_point(task: Task, name: str, size: int, own: Point, baseline: Point) -> None:
    pooling, penalty = own.chosen
    line = f"{name:<28}{size:>8,} labels  {own.f1:.4f}  ({pooling}, C {penalty:g}, {len(own.predictions)} seeds)"
    if own is not baseline:
        one = compare_weighted_f1(
            task.splits["test"].targets, own.predictions, baseline.predictions, RESAMPLES, CompareConfig().margin
        )
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
            ends = [f"{end.beyond + ' than ' if end.beyond else ''}{end.value:.2f}" for end in (saved.low, saved.high)]
            told = f"{saved.ratio.beyond + ' than ' if saved.ratio.beyond else ''}{saved.ratio.value:.2f}"
            print(f"{name}, {size:,} labels: worth {told}x as many of {baseline} [{ends[0]}, {ends[1]}]")


if __name__ == "__main__":
    main()
