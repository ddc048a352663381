"""One pretraining run: steps, held-out losses, saved states, exported checkpoints."""

# B rows of a batch, T tokens

import hashlib
import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.init.initial_checkpoint import starting_checkpoint, tokenizer_of_base
from pretrain.model.card import write_card
from pretrain.model.checkpoint import save_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.objectives.distillation import base_to_keep
from pretrain.objectives.masked_lm import masker_of
from pretrain.train.batches import TrainingBatches, held_out_batches
from pretrain.train.device import choose_dtype
from pretrain.train.progress_log import Meter
from pretrain.train.replicas import GONE, Replicas, said_gone
from pretrain.train.state import STOPPED_EXIT_CODE, RunState, Stopped
from pretrain.train.step import Batch, MlmStep, StepFigures, turns_of
from pretrain.train.timing import WARM_UP_CALLS, step_seconds
from stackbert.core.artifact import REQUEST, SCRATCH, write_json
from stackbert.core.checkpoints import CHECKPOINTS, export_folder
from stackbert.core.errors import StackbertError
from tokenizer.encoding.packed_rows import load_rows, tokenizer_of_rows
from tokenizer.encoding.reader import load_reader

DTYPES = (tf.float32, tf.bfloat16)
LOSS_BLOWN_UP = 50.0  # nats; ln of any vocabulary is below 13
MOST_LOST = 10  # steps in a row whose gradient is not a number


class TrainingError(StackbertError):
    """The loss is no longer a number, or a device is gone."""


@dataclass(frozen=True)
class RunTimes:
    """Seconds that parts of a run take here."""

    preparing: float
    """Tracing, compiling and the first steps."""
    step: float
    """Mean, batch preparation included."""
    evaluation: float


class Run:
    """One pretraining run: the chief's, which writes to its staging folder, or another worker's, which has none."""

    def __init__(self, rows: Path, tokenizer: Path, folder: Path | None, config: PretrainConfig, replicas: Replicas):
        self._rows, self._tokenizer, self._folder, self._config = rows, tokenizer, folder, config
        self._replicas = replicas
        replicas.check(config.batch_rows)
        turns_of(config.batch_rows // replicas.count, config.micro_batch_rows)  # raises where there are none
        self.train_rows, self._validation_rows = load_rows(rows, "train"), load_rows(rows, "validation")
        self._reader = load_reader(tokenizer)
        self.start, self._notes = starting_checkpoint(config, self._reader, self.train_rows)
        row_length = self.train_rows.ids.shape[1]
        self.batch_tokens = config.batch_rows * row_length
        self._state = RunState(self._state_folder(), config.save_seconds, from_here=replicas.is_pod)
        self._history: list[dict[str, float]] = self._state.memo.setdefault("history", [])
        accelerated = replicas.compiles_accelerated
        dtype = DTYPES[self._chosen("precision", lambda: DTYPES.index(choose_dtype(config.precision, accelerated)))]
        base, reading = None, None
        with replicas.scope():
            encoder = Encoder(self.start.architecture, self.start.weights, dtype)
            if config.distill_weight:
                kept, reading = base_to_keep(config.base, self._reader, row_length, self.has_new_vocabulary)
                base = Encoder(kept.architecture, kept.weights, dtype)
                self._notes.append(f"text vectors are kept near the base's: weight {config.distill_weight:g}")
        self.teacher_row_length = reading.row_length(row_length) if reading else 0
        masker = masker_of(self._reader, config)
        self._batches = TrainingBatches(self.train_rows, masker, config.batch_rows, config.seed, reading)
        self.total_steps = self._chosen("steps", lambda: self._budget(encoder, base))
        with replicas.scope():
            self._step = MlmStep(encoder, config, self.total_steps, self._embedding_steps(), replicas, base)
        held_out = self._validation_rows
        self._held_out = held_out_batches(held_out, masker, config.batch_rows, config.validation_rows, reading)
        self._state.track(encoder=encoder, **self._step.optimizers)
        self._notes.append(f"{dtype.name} products, {self.total_steps:,} steps of {self.batch_tokens:,} tokens")
        if replicas.count > 1:
            self._notes.append(f"{replicas.count} devices share each batch")
        if config.embeddings_first and not self.has_new_vocabulary:
            self._notes.append("embeddings_first has no effect: the base keeps its vocabulary")
        self._export_at = spread(config.exports, self.total_steps)
        self._lost = 0  # of the latest steps, those whose gradient was not a number

    def train(self) -> dict[str, Any]:
        """Train to the end and export; returns the counts for the manifest, none where another worker writes it."""
        for note in self._notes:
            self._say(note)
        self._resume()
        log = tf.summary.create_noop_writer()
        if self._folder:
            log = tf.summary.create_file_writer(str(self._folder / "tensorboard"))
        with self._state.stopping_cleanly(), log.as_default():
            if not self._replicas.agree(len(self._history)):
                self._evaluate(0)
            self._loop()
        if not self._folder:
            return {}
        self._export(self._folder)
        write_card(self._folder, self._config, self._notes, self._history)
        return {
            "steps": self.total_steps,
            "tokens": self.total_steps * self.batch_tokens,
            "epochs": round(self.total_steps * self._config.batch_rows / len(self.train_rows.ids), 3),
            "precision": self._step.encoder.dtype.name,
            "devices": self._replicas.count,
            "updates_left_out": self._step.left_out,
            "notes": self._notes,
            "held_out_before": self._history[0],
            "held_out_after": self._history[-1],
        }

    @property
    def num_weights(self) -> int:
        """Parameters."""
        return sum(array.size for array in self.start.weights.values())

    @property
    def has_new_vocabulary(self) -> bool:
        """Whether the base is carried over to another vocabulary than its own."""
        return tokenizer_of_rows(self._rows) != tokenizer_of_base(self._config.base)

    def take_times(self, seconds: float) -> RunTimes:
        """Evaluate, and train for so many seconds, at least two steps; changes the weights and writes nothing."""
        batches = self._replicas.distributed(partial(self._batches.dataset, 0, self.total_steps))
        begun = time.monotonic()
        self._evaluate(0)
        at_once = self._steps_per_execution()
        for call in range(WARM_UP_CALLS):
            self._step.take(batches, call * at_once, at_once)
        ready = time.monotonic()
        self._evaluate(0)
        evaluated = time.monotonic()
        calls = 0
        while calls < WARM_UP_CALLS or time.monotonic() - evaluated < seconds:
            self._step.take(batches, (WARM_UP_CALLS + calls) * at_once, at_once)
            calls += 1
        return RunTimes(ready - begun, (time.monotonic() - evaluated) / (calls * at_once), evaluated - ready)

    def _say(self, text: str) -> None:
        if self._folder:
            print(text)

    def _state_folder(self) -> str | None:
        """Where the states are; a worker beside the chief gets its state from the chief."""
        if not self._folder:
            return None
        if not self._config.state_folder:
            return str(self._folder / SCRATCH)
        identity = hashlib.sha256((self._folder / REQUEST).read_bytes()).hexdigest()
        return f"{self._config.state_folder.rstrip('/')}/{identity[:16]}"

    def _chosen(self, name: str, choose: Callable[[], int]) -> int:
        """What was chosen at the run's beginning, and is kept with its state: the chief's choice."""
        known = self._replicas.agree(self._state.memo.get(name, -1))
        self._state.memo[name] = known if known >= 0 else self._replicas.agree(choose())
        return int(self._state.memo[name])

    def _budget(self, encoder: Encoder, base: Encoder | None) -> int:
        """The number of steps that the configured budget allows."""
        config = self._config
        if config.minutes:
            seconds = step_seconds(encoder, config, self._replicas, self._batches, base)
            encoder.assign(self.start.weights)
            return max(1, round(config.minutes * 60 / seconds))
        if config.epochs:
            return math.ceil(config.epochs * len(self.train_rows.ids) / config.batch_rows)
        return config.steps or max(1, config.tokens // self.batch_tokens)

    def _embedding_steps(self) -> int:
        """Steps that train the word table and the head alone: none where the base keeps its vocabulary."""
        return round(self.total_steps * self._config.embeddings_first) if self.has_new_vocabulary else 0

    def _resume(self) -> None:
        if self._state.restore() and self._folder:
            self._say(f"going on from step {self._step.done:,} of {self.total_steps:,}")
            self._note_what_is_gone(self._folder)
        self._replicas.take_over(self._step.state)

    def _note_what_is_gone(self, folder: Path) -> None:
        """The state can be on another disk than the output, and outlive it."""
        write_json(folder / "history.json", self._history)
        done = sorted(at for at in self._export_at if at <= self._step.done)
        gone = [path.name for path in (export_folder(folder, at) for at in done) if not path.is_dir()]
        if gone:
            self._notes.append(f"{', '.join(gone)} of {CHECKPOINTS} went with an earlier output folder")
            self._say(self._notes[-1])

    def _loop(self) -> None:
        step, total = self._step.done, self.total_steps
        evaluate_at = spread(self._config.evaluations, total) | {total}
        batches = self._replicas.distributed(partial(self._batches.dataset, step, total))
        meter = Meter(step, total, self.batch_tokens, self._replicas.is_chief)
        while step < total:
            stops = [at for at in evaluate_at | self._export_at if at > step]
            count = min(self._steps_per_execution(), self._step.window_end(step, total) - step, min(stops) - step)
            figures = self._train(batches, step, count)
            step += count
            meter.add(step, figures, self._step.left_out)
            if step in evaluate_at:
                self._evaluate(step)
            if step in self._export_at and self._folder:
                self._export_along(export_folder(self._folder, step))
            meter.report_if_due()
            # of several workers all must stop alike, and have told each other with the step
            asked = self._replicas.workers == 1 and self._state.asked_to_stop
            if (figures[-1].stopping or asked) and step < total:
                self._state.save(step)
                raise Stopped(STOPPED_EXIT_CODE)
            if step < total:
                self._state.save_if_due(step)
        meter.report()
        self._state.save(total)

    def _steps_per_execution(self) -> int:
        return self._replicas.steps_per_execution(self._config.steps_per_execution)

    def _train(self, batches: Iterator[Batch], step: int, count: int) -> list[StepFigures]:
        """Take `count` steps; raises TrainingError where one of them is not a number."""
        asked = self._state.asked_to_stop
        try:
            figures = self._step.take(batches, step, count, asked)
        except GONE as error:
            raise TrainingError(f"step {step + 1}: {said_gone(error)}") from None
        for number, one in enumerate(figures, step + 1):
            # a gradient that is not a number changed nothing, so some are borne
            self._lost = 0 if math.isfinite(one.gradient_norm) else self._lost + 1
            if not math.isfinite(one.loss) or one.loss > LOSS_BLOWN_UP or self._lost >= MOST_LOST:
                window = f" (of steps {step + 1} to {step + count}, taken in one call)" if count > 1 else ""
                raise TrainingError(
                    f"step {number}{window}: loss {one.loss}, gradient norm {one.gradient_norm}; the last good state "
                    f"is kept in {self._state_folder()}, but the same command meets the same step. Make another run, "
                    "with a lower learning_rate or precision float32, in another folder"
                )
        return figures

    def _evaluate(self, step: int) -> None:
        sums = np.sum([self._step.evaluate(batch) for batch in self._held_out], axis=0)
        loss, accuracy, distance = (float(part / sums[-1]) for part in sums[:-1])
        point = {
            "step": step,
            "tokens": step * self.batch_tokens,
            "loss": loss,
            "accuracy": accuracy,
            "bits_per_byte": loss / math.log(2) * self._validation_rows.tokens_per_byte,
        }
        measured = f"loss {loss:.3f}, accuracy {accuracy:.3f}, {point['bits_per_byte']:.3f} bits a byte"
        if self._config.distill_weight:
            point["distance"] = distance
            measured += f", text vectors {distance:.3f} from the base's"
        self._say(f"held out at step {step:,}: {measured}")
        for name, value in point.items():
            if name not in ("step", "tokens"):
                tf.summary.scalar(f"held_out_{name}", value, step)
        self._history.append(point)
        if self._folder:
            write_json(self._folder / "history.json", self._history)

    def _export(self, folder: Path) -> None:
        adapted = replace(self.start, weights=self._step.encoder.numpy_weights(), has_mlm_head=True)
        save_checkpoint(adapted, self._tokenizer, folder)

    def _export_along(self, folder: Path) -> None:
        """Export, whole or not at all; once more where the run went on from before."""
        partial_folder = folder.with_suffix(".partial")
        for leftover in (folder, partial_folder):
            shutil.rmtree(leftover, ignore_errors=True)
        partial_folder.mkdir(parents=True)
        self._export(partial_folder)
        partial_folder.rename(folder)


def spread(count: int, total: int) -> set[int]:
    """`count` steps evenly spread before the last.

    >>> sorted(spread(3, 100))
    [25, 50, 75]
    """
    return {round(total * number / (count + 1)) for number in range(1, count + 1)} - {0, total}
