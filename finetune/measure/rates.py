"""Seconds that the parts of fine-tuning take on this machine, from two short trials."""

import contextlib
import io
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from corpora.labels.labelled_set import Split
from finetune.classifier.classifier import Classifier
from finetune.config import FinetuneConfig
from finetune.measure.preflight import FinetunePreflight
from finetune.train.features import FeatureStore
from finetune.trials.fine_tuner import FineTuner, load_for
from finetune.trials.task import SPLITS, Task
from finetune.trials.trial import TrialSpec, TrialSummary
from pretrain.train.replicas import Replicas
from pretrain.train.state import RunState

Result = TypeVar("Result")

FEWEST_STEPS = 6  # of the measured epoch
FEWEST_BATCH_TEXTS = 8
HEAD_EPOCHS = 5
HEAD_SIZES = (4_000, 500, 500)  # fewer would time what an epoch takes whatever its number of texts
DEV_SHARE = 4  # a dev or test text for so many training texts
STEP_PASSES = 3  # a training step takes about three passes of the encoder


@dataclass(frozen=True)
class FineTuningRates:
    """Seconds of the parts of fine-tuning one checkpoint."""

    loading: float
    """The checkpoint and its tokenizer: once for all seeds."""
    compiling: float
    """The feature pass and the training step: once for checkpoints of the same shapes that follow each other."""
    encoding: float
    """A text's tokens, and a pass of the encoder."""
    head: float
    """A text in an epoch of the head; texts of train and dev count."""
    training: float
    """A text in an epoch of the whole model."""
    saving: float
    """The classifier of the first seed."""
    disk: int
    """Bytes of that classifier."""
    memory: int
    """Peak of the process, bytes."""
    tokens: float
    """Mean number of tokens of a text, at most the recipe's max_length."""

    def seconds(
        self,
        sizes: tuple[int, int, int],
        config: FinetuneConfig,
        seeds: int,
        *,
        compiles: bool = True,
        saves: bool = False,
    ) -> float:
        """All trials of a checkpoint on train, dev and test sets of these sizes, without early stopping."""
        once = self.loading + compiles * self.compiling + sum(sizes) * self.encoding + saves * self.saving
        return once + seeds * self._trial(sizes, config)

    def search_seconds(
        self, sizes: tuple[int, int, int], config: FinetuneConfig, poolings: int, rates: int, *, compiles: bool = True
    ) -> float:
        """What a search among so many poolings and learning rates adds to the trials.

        The chosen pooling's features and the chosen rate's trial are the trials' own. Each pooling is compiled.
        """
        further, read = max(0, poolings - 1), sizes[0] + sizes[1]
        features = further * (self.loading + compiles * self.compiling + read * self.encoding)
        heads = poolings * config.head_epochs * read * self.head
        return features + heads + max(0, rates - 1) * (self._trial(sizes, config) + self.saving)

    def _trial(self, sizes: tuple[int, int, int], config: FinetuneConfig) -> float:
        """Both phases with one seed."""
        train, dev, test = sizes
        head = config.head_epochs * (train + dev) * self.head
        whole = config.epochs * (train * self.training + dev * self.encoding) + (dev + test) * self.encoding
        return head + whole

    def on_slice(self, found: FinetunePreflight, roofline_share: float) -> "FineTuningRates | None":
        """The rates of a TPU slice that reaches this share of the compiled programs' roofline; None if they do not fit.

        The host's part, loading, the head's phase and saving, is as here.
        """
        if not (found.step.fits and found.encoding.fits):
            return None
        return replace(
            self,
            compiling=found.step.compile_seconds + found.encoding.compile_seconds,
            encoding=1 / (found.encoded_texts_per_second * roofline_share),
            training=1 / (found.training_texts_per_second * roofline_share),
        )


def measure_fine_tuning(
    checkpoint: str, task: Task, config: FinetuneConfig, replicas: Replicas, seconds: float
) -> FineTuningRates:
    """Fine-tune `checkpoint` twice on texts of `task`, of which as many are used as take about `seconds`.

    What the first trial takes longer than the second is compilation. Writes nothing that remains.
    """
    config = replace(config, epochs=1, head_epochs=HEAD_EPOCHS)
    per_text = _pass_seconds(checkpoint, task, config, replicas)
    texts = max(1, round(seconds / (2 * (STEP_PASSES + 2) * per_text)))
    # where even a few of the recipe's steps take too long, smaller ones tell the time of a text as well
    batch = min(config.batch_size, max(FEWEST_BATCH_TEXTS, texts // FEWEST_STEPS))
    batch = -(-batch // replicas.count) * replicas.count
    train = max(texts, FEWEST_STEPS * batch)
    sample = _cut(task, {"train": train, "dev": -(-train // DEV_SHARE), "test": -(-train // DEV_SHARE)})
    with tempfile.TemporaryDirectory(prefix="stackbert-plan-") as folder, _quiet():
        loaded, reading = _timed(lambda: load_for(checkpoint, config))
        tuner = FineTuner(*loaded, len(sample.labels), replace(config, batch_size=batch), replicas)
        prepare = partial(tuner.prepare, checkpoint, *loaded, sample, FeatureStore())
        _, first_preparation = _timed(prepare)
        first, _ = _timed(lambda: _trial(tuner, 0, None))
        _, preparation = _timed(prepare)
        model = Path(folder) / "model"
        second, ended = _timed(lambda: _trial(tuner, 1, model))
        head = tuner.head_seconds(HEAD_SIZES) / HEAD_EPOCHS / sum(HEAD_SIZES[:2])
        disk = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
    return _rates(config, sample, (reading, first_preparation, preparation, ended), first, second, head, disk)


def _rates(
    config: FinetuneConfig,
    sample: Task,
    times: tuple[float, float, float, float],
    first: TrialSummary,
    second: TrialSummary,
    head: float,
    disk: int,
) -> FineTuningRates:
    """The rates from two trials, of which the second compiled nothing and saved its classifier.

    `times` are the seconds of reading the checkpoint, of preparing for each trial, and of the second trial.
    """
    reading, first_preparation, preparation, ended = times
    sizes = [len(sample.splits[name].texts) for name in SPLITS]
    took = second.seconds
    encoding = took["features"] / sum(sizes)
    whole = took["whole"] - (2 * sizes[1] + sizes[2]) * encoding
    return FineTuningRates(
        loading=reading + max(0.0, preparation - took["features"]),
        compiling=max(0.0, first_preparation - preparation) + max(0.0, _training(first) - _training(second)),
        encoding=encoding,
        head=head,
        training=max(whole / sizes[0], encoding),
        saving=max(0.0, ended - _training(second)),
        disk=disk,
        memory=second.cost.memory or 0,
        tokens=min(config.max_length, second.cost.tokens_per_text or config.max_length),
    )


def _training(trial: TrialSummary) -> float:
    """Seconds of both phases."""
    return trial.seconds["head"] + trial.seconds["whole"]


def _trial(tuner: FineTuner, seed: int, model: Path | None) -> TrialSummary:
    """A trial whose state is not saved."""
    trial = tuner.run(TrialSpec(Path(), seed, ""), model, RunState(None, math.inf))
    assert trial  # there is one machine
    return trial.summary


def _timed(function: Callable[[], Result]) -> tuple[Result, float]:
    start = time.monotonic()
    result = function()
    return result, time.monotonic() - start


def _pass_seconds(checkpoint: str, task: Task, config: FinetuneConfig, replicas: Replicas) -> float:
    """Seconds of a text in a pass of the encoder, roughly."""
    with _quiet():
        classifier = Classifier(*load_for(checkpoint, config), len(task.labels), config, replicas)
        classifier.compile_features()
        sequences = classifier.sequences(task.splits["train"].texts[:256])
        _, seconds = _timed(lambda: classifier.features(sequences))
        return seconds / len(sequences)


def _cut(task: Task, sizes: dict[str, int]) -> Task:
    """The task with at most so many texts of each split."""
    splits = {
        name: Split(split.ids[: sizes[name]], split.texts[: sizes[name]], split.targets[: sizes[name]])
        for name, split in task.splits.items()
    }
    return replace(task, splits=splits)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A context in which epochs and progress are not printed."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
