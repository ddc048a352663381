"""Seconds that the parts of fine-tuning take on this machine, from two short trials."""

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from corpora.labels.labelled_set import Split
from finetune.classifier.classifier import Classifier
from finetune.compare.task import SPLITS, Task
from finetune.compare.trial_runner import FineTuner, load_for
from finetune.compare.trials import TrialSpec
from finetune.config import FinetuneConfig
from finetune.measure.preflight import FinetunePreflight
from pretrain.train.replicas import Replicas

FEWEST_STEPS = 6  # of the measured epoch
FEWEST_BATCH_TEXTS = 8
HEAD_EPOCHS = 5
DEV_SHARE = 4  # a dev or test text for so many training texts
STEP_PASSES = 3  # a training step takes about three passes of the encoder


@dataclass(frozen=True)
class FineTuningRates:
    """Seconds of the parts of fine-tuning one checkpoint."""

    loading: float
    """The checkpoint, and compiling the feature pass: once for all seeds."""
    compiling: float
    """The training step: once for all seeds."""
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

    def seconds(self, sizes: tuple[int, int, int], config: FinetuneConfig, seeds: int, *, saves: bool = False) -> float:
        """All trials of a checkpoint on train, dev and test sets of these sizes, without early stopping."""
        train, dev, test = sizes
        head = config.head_epochs * (train + dev) * self.head
        whole = config.epochs * (train * self.training + dev * self.encoding) + (dev + test) * self.encoding
        once = self.loading + self.compiling + sum(sizes) * self.encoding + saves * self.saving
        return once + seeds * (head + whole)

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
    sizes = [len(sample.splits[name].texts) for name in SPLITS]
    with tempfile.TemporaryDirectory(prefix="stackbert-plan-") as folder, _quiet():
        start = time.monotonic()
        tuner = FineTuner(checkpoint, sample, replace(config, batch_size=batch), replicas)
        prepared = time.monotonic() - start
        first = tuner.run(TrialSpec(Path(folder) / "first", 0, ""), None).summary.seconds
        start = time.monotonic()
        summary = tuner.run(TrialSpec(Path(folder) / "second", 1, ""), Path(folder) / "model").summary
        ended = time.monotonic() - start
        disk = sum(file.stat().st_size for file in (Path(folder) / "model").rglob("*") if file.is_file())
    took = summary.seconds
    encoding = took["features"] / sum(sizes)
    whole = took["whole"] - (2 * sizes[1] + sizes[2]) * encoding
    return FineTuningRates(
        loading=max(0.0, prepared - took["features"]),
        compiling=max(0.0, first["whole"] + first["head"] - took["whole"] - took["head"]),
        encoding=encoding,
        head=took["head"] / HEAD_EPOCHS / (sizes[0] + sizes[1]),
        training=max(whole / sizes[0], encoding),
        saving=max(0.0, ended - took["whole"] - took["head"]),
        disk=disk,
        memory=summary.cost.memory or 0,
        tokens=min(config.max_length, summary.cost.tokens_per_text or config.max_length),
    )


def _pass_seconds(checkpoint: str, task: Task, config: FinetuneConfig, replicas: Replicas) -> float:
    """Seconds of a text in a pass of the encoder, roughly."""
    with _quiet():
        classifier = Classifier(*load_for(checkpoint, config), len(task.labels), config, replicas)
        classifier.compile_features()
        sequences = classifier.sequences(task.splits["train"].texts[:256])
        start = time.monotonic()
        classifier.features(sequences)
        return (time.monotonic() - start) / len(sequences)


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
