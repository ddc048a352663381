"""Continued masked-language-model pretraining: the run, from base checkpoint to adapted checkpoint."""

# B rows, T tokens, H hidden, M = B x P masked positions

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from corpora.artifact import (
    REQUEST,
    SCRATCH,
    Manifest,
    build_artifact,
    finished_artifact,
    identify,
    load_manifest,
    require_artifact,
    write_json,
)
from corpora.errors import StackbertError
from pretrain.architecture import random_config, read_architecture
from pretrain.bases import RANDOM_PREFIX, is_random, resolve_base
from pretrain.batches import TrainingBatches, held_out_batches
from pretrain.card import write_card
from pretrain.checkpoint import Checkpoint, load_checkpoint, random_weights, save_checkpoint
from pretrain.config import PretrainConfig
from pretrain.device import choose_dtype
from pretrain.encoder import Encoder
from pretrain.masking import MaskedBatch, Masker
from pretrain.meter import Meter
from pretrain.replicas import Replicas, find_replicas
from pretrain.similarity import token_vectors
from pretrain.state import STOPPED_EXIT_CODE, RunState, Stopped
from pretrain.step import MlmStep, StepFigures
from pretrain.timing import step_seconds
from pretrain.transfer import check_vocabulary, transfer_vocabulary
from tokenizer.reader import TextReader, load_reader
from tokenizer.rows import PackedRows, identify_tokenizer, load_rows, tokenizer_of_rows

STAGE = "pretrain run"
CHECKPOINTS = "checkpoints"
DTYPES = (tf.float32, tf.bfloat16)
STEPS_AT_ONCE = 50  # on accelerators, whose steps are short beside what a call costs
STARTS = {
    "mean": "the mean of their old pieces",
    "random": "noise",
    "similar": "a mean of the shared tokens used most like them",
}
LOSS_BLOWN_UP = 50.0  # nats; ln of any vocabulary is below 13


class TrainingError(StackbertError):
    """The loss is no longer a number."""


def pretrain(rows: Path, tokenizer: Path, out: Path, config: PretrainConfig) -> Manifest:
    """Carry `config.base` over to the vocabulary in `tokenizer`, train it on `rows`, write a Hugging Face checkpoint.

    `rows` must have been encoded with that tokenizer. A run that was stopped goes on from its last saved state, with
    the same result as if it had not been. `out` also holds `history.json` (losses) and `tensorboard/`.

    Several machines that TF_CONFIG names each call this with the same arguments; `rows`, `tokenizer` and `out` are
    on a disk that all see, and the chief alone writes.
    """
    require_artifact(rows, "tokenizer encode")
    if identify_tokenizer(tokenizer) != tokenizer_of_rows(rows):
        raise StackbertError(
            f"{rows}: was encoded with another tokenizer than the one in {tokenizer}; encode again with it"
        )
    inputs: dict[str, Path | str] = {"rows": rows, "tokenizer": identify_tokenizer(tokenizer)}
    if not is_random(config.base):
        inputs["base"] = identify(resolve_base(config.base))
    replicas = find_replicas(config.device)
    if replicas.workers > 1:
        finished = finished_artifact(out, STAGE, config.recorded, inputs)
        if finished:
            return finished
    if not replicas.is_chief:
        _Run(rows, tokenizer, None, config, replicas).train()
        replicas.wait()
        return load_manifest(out)
    manifest = build_artifact(
        out,
        STAGE,
        config.recorded,
        inputs,
        lambda folder: _Run(rows, tokenizer, folder, config, replicas).train(),
        resumable=True,
    )
    replicas.wait()
    return manifest


def starting_checkpoint(config: PretrainConfig, new: TextReader, rows: PackedRows) -> tuple[Checkpoint, list[str]]:
    """The checkpoint at step 0, and notes on how it came about.

    A missing MLM head is made; its bias starts at the log frequency of each token in `rows`, so that the first steps
    need not learn which tokens are common.
    """
    if is_random(config.base):
        fields = random_config(config.base.removeprefix(RANDOM_PREFIX), new.vocab_size) | {
            "pad_token_id": new.padding_id
        }
        architecture = read_architecture(fields, config.base)
        start = Checkpoint(architecture, fields, random_weights(architecture, config.seed), has_mlm_head=False)
        notes = [f"{config.base}: new weights, seed {config.seed}"]
    else:
        folder = resolve_base(config.base)
        base = load_checkpoint(folder)
        vectors_VD = None
        if config.transfer == "similar":
            vectors_VD = token_vectors(rows, new.vocab_size, new.special_ids, config.seed)
        start, counts = transfer_vocabulary(base, load_reader(folder), new, config.transfer, config.seed, vectors_VD)
        notes = [
            f"vocabulary of {new.vocab_size:,}: {counts.kept:,} tokens keep their vector, {counts.built:,} start from "
            f"{STARTS[config.transfer]}, {counts.unknown:,} unknown to the base start from noise"
        ]
    check_vocabulary(start, new)
    if not start.has_mlm_head:
        notes.append("the base has no MLM head: a new one was made")
        unigrams_V = _unigrams(rows, new)
        smoothed_V = np.pad(unigrams_V, (0, start.architecture.vocab_size - len(unigrams_V))) + 1.0
        start = replace(
            start, weights=start.weights | {"mlm/bias": np.log(smoothed_V / smoothed_V.sum()).astype(np.float32)}
        )
    return start, notes


class _Run:
    """One pretraining run: the chief's, which writes to its staging folder, or another worker's, which has none."""

    def __init__(self, rows: Path, tokenizer: Path, folder: Path | None, config: PretrainConfig, replicas: Replicas):
        self._rows, self._tokenizer, self._folder, self._config = rows, tokenizer, folder, config
        self._replicas = replicas
        replicas.check(config.batch_rows)
        self._train_rows, self._held_out_rows = load_rows(rows, "train"), load_rows(rows, "held_out")
        self._reader = load_reader(tokenizer)
        self._start, self._notes = starting_checkpoint(config, self._reader, self._train_rows)
        row_length = self._train_rows.ids.shape[1]
        self._batch_tokens = config.batch_rows * row_length
        if row_length > self._start.architecture.max_length:
            raise StackbertError(
                f"{rows}: rows of {row_length} tokens, but the base reads {self._start.architecture.max_length} at "
                "most; encode with a smaller row_length"
            )
        self._state = RunState(self._state_folder(), self._identity(), config.save_seconds)
        self._history: list[dict[str, float]] = self._state.memo.setdefault("history", [])
        dtype = DTYPES[self._chosen("precision", lambda: DTYPES.index(choose_dtype(config.precision)))]
        with replicas.scope():
            encoder = Encoder(self._start.architecture, self._start.weights, dtype)
        reader = self._reader
        masker = Masker(reader.vocab_size, reader.special_ids, reader.mask_id, config.mask_rate)
        self._batches = TrainingBatches(self._train_rows, masker, config.batch_rows, config.seed)
        self.total_steps = self._chosen("steps", lambda: self._budget(encoder))
        with replicas.scope():
            self._step = MlmStep(encoder, config, self.total_steps, self._embedding_steps(), replicas)
        self._held_out = held_out_batches(
            self._held_out_rows, masker, config.batch_rows, config.held_out_rows, config.seed
        )
        self._state.track(encoder=encoder, **self._step.optimizers)
        self._notes.append(f"{dtype.name} products, {self.total_steps:,} steps of {self._batch_tokens:,} tokens")
        if replicas.count > 1:
            self._notes.append(f"{replicas.count} devices share each batch")

    def train(self) -> dict[str, Any]:
        """Train to the end and export; returns the counts for the manifest."""
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
        if self._folder:
            self._export(self._folder)
            write_card(self._folder, self._config, self._notes, self._history)
        return {
            "steps": self.total_steps,
            "tokens": self.total_steps * self._batch_tokens,
            "epochs": round(self.total_steps * self._config.batch_rows / len(self._train_rows.ids), 3),
            "precision": self._step.encoder.dtype.name,
            "devices": self._replicas.count,
            "updates_left_out": self._step.left_out,
            "notes": self._notes,
            "held_out_before": self._history[0],
            "held_out_after": self._history[-1],
        }

    def _say(self, text: str) -> None:
        if self._folder:
            print(text)

    def _state_folder(self) -> str | None:
        """Where the states are; a worker beside the chief gets its state from the chief."""
        if not self._folder:
            return None
        return self._config.state_folder or str(self._folder / SCRATCH)

    def _identity(self) -> str:
        """What tells this run's states from another's."""
        request = (self._folder / REQUEST).read_bytes() if self._folder else b""
        return hashlib.sha256(request).hexdigest()

    def _chosen(self, name: str, choose: Callable[[], int]) -> int:
        """What was chosen at the run's beginning, and is kept with its state: the chief's choice."""
        known = self._replicas.agree(self._state.memo.get(name, -1))
        self._state.memo[name] = known if known >= 0 else self._replicas.agree(choose())
        return int(self._state.memo[name])

    def _budget(self, encoder: Encoder) -> int:
        """The number of steps that the configured budget allows."""
        config = self._config
        if config.minutes:
            seconds = step_seconds(encoder, config, self._replicas, self._batches)
            encoder.assign(self._start.weights)
            return max(1, round(config.minutes * 60 / seconds))
        if config.epochs:
            return math.ceil(config.epochs * len(self._train_rows.ids) / config.batch_rows)
        return config.steps or max(1, config.tokens // self._batch_tokens)

    def _embedding_steps(self) -> int:
        """Steps that train the word table and the head alone: none where the base keeps its vocabulary."""
        is_new = tokenizer_of_rows(self._rows) != _tokenizer_of_base(self._config.base)
        return round(self.total_steps * self._config.embeddings_first) if is_new else 0

    def _resume(self) -> None:
        if self._state.restore():
            self._say(f"going on from step {self._step.done:,} of {self.total_steps:,}")
        self._replicas.take_over(self._step.state)

    def _loop(self) -> None:
        step, total = self._step.done, self.total_steps
        evaluate_at = spread(self._config.evaluations, total) | {total}
        export_at = spread(self._config.exports, total)
        batches = self._replicas.distributed(partial(self._batches.dataset, step, total))
        meter = Meter(step, total, self._batch_tokens, self._replicas.is_chief)
        while step < total:
            stops = [at for at in evaluate_at | export_at if at > step]
            count = min(self._steps_at_once(), self._step.window_end(step, total) - step, min(stops) - step)
            figures = self._train(batches, step, count)
            step += count
            meter.add(step, figures)
            if step in evaluate_at:
                self._evaluate(step)
            if step in export_at and self._folder:
                self._export_along(self._folder / CHECKPOINTS / f"step-{step}")
            meter.report_if_due()
            if figures[-1].stopping and step < total:
                self._state.save(step)
                raise Stopped(STOPPED_EXIT_CODE)
            if step < total:
                self._state.save_if_due(step)
        meter.report()
        self._state.save(total)

    def _steps_at_once(self) -> int:
        return self._config.steps_at_once or (STEPS_AT_ONCE if self._replicas.compiles_accelerated else 1)

    def _train(self, batches: Iterator[MaskedBatch], step: int, count: int) -> list[StepFigures]:
        """Take `count` steps; raises TrainingError where one of them is not a number."""
        asked = self._state.asked_to_stop
        try:
            if count == 1:
                figures = [self._step.train(next(batches), step, asked)]
            else:
                figures = self._step.train_many(batches, step, count, asked)
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise TrainingError(
                f"step {step + 1}: a device or another worker is gone ({error.message.splitlines()[0][:200]}); start "
                "the same command on all machines again, and it goes on from the last saved state"
            ) from None
        for number, one in enumerate(figures, step + 1):
            if not math.isfinite(one.loss) or not math.isfinite(one.gradient_norm) or one.loss > LOSS_BLOWN_UP:
                window = f" (of steps {step + 1} to {step + count}, taken in one call)" if count > 1 else ""
                raise TrainingError(
                    f"step {number}{window}: loss {one.loss}, gradient norm {one.gradient_norm}; the last good state "
                    f"is kept in {self._state_folder()}. Lower learning_rate, or use precision float32"
                )
        return figures

    def _evaluate(self, step: int) -> None:
        sums = np.sum([self._step.evaluate(batch) for batch in self._held_out], axis=0)
        loss, accuracy = (float(part / sums[2]) for part in sums[:2])
        point = {
            "step": step,
            "tokens": step * self._batch_tokens,
            "loss": loss,
            "accuracy": accuracy,
            "bits_per_byte": loss / math.log(2) * self._held_out_rows.tokens_per_byte,
        }
        measured = f"loss {loss:.3f}, accuracy {accuracy:.3f}, {point['bits_per_byte']:.3f} bits a byte"
        self._say(f"held out at step {step:,}: {measured}")
        for name in ("loss", "accuracy", "bits_per_byte"):
            tf.summary.scalar(f"held_out_{name}", point[name], step)
        self._history.append(point)
        if self._folder:
            write_json(self._folder / "history.json", self._history)

    def _export(self, folder: Path) -> None:
        adapted = replace(self._start, weights=self._step.encoder.numpy_weights(), has_mlm_head=True)
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


def _tokenizer_of_base(base: str) -> str | None:
    """Identity of a base's own tokenizer; None where it is made without one."""
    return None if is_random(base) else identify_tokenizer(resolve_base(base))


def _unigrams(rows: PackedRows, reader: TextReader) -> np.ndarray:
    """Occurrences of each id in the rows, (V,); special ids count as none."""
    counts_V = np.zeros(reader.vocab_size, np.int64)
    for start in range(0, len(rows.ids), 10_000):
        counts_V += np.bincount(np.ravel(rows.ids[start : start + 10_000]), minlength=reader.vocab_size)
    counts_V[list(reader.special_ids)] = 0
    return counts_V
