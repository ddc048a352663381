"""Continued masked-language-model pretraining: the run, from base checkpoint to adapted checkpoint."""

# B rows, T tokens, H hidden, M = B x P masked positions

import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from corpora.artifact import SCRATCH, Manifest, build_artifact, identify, require_artifact, write_json
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
from pretrain.similarity import token_vectors
from pretrain.state import RunState
from pretrain.step import MlmStep
from pretrain.transfer import check_vocabulary, transfer_vocabulary
from tokenizer.reader import TextReader, load_reader
from tokenizer.rows import PackedRows, identify_tokenizer, load_rows, tokenizer_of_rows

REPORT_SECONDS = 10
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
    """
    require_artifact(rows, "tokenizer encode")
    if identify_tokenizer(tokenizer) != tokenizer_of_rows(rows):
        raise StackbertError(
            f"{rows}: was encoded with another tokenizer than the one in {tokenizer}; encode again with it"
        )
    inputs: dict[str, Path | str] = {"rows": rows, "tokenizer": identify_tokenizer(tokenizer)}
    if not is_random(config.base):
        inputs["base"] = identify(resolve_base(config.base))
    return build_artifact(
        out,
        "pretrain run",
        config,
        inputs,
        lambda folder: _Run(rows, tokenizer, folder, config).train(),
        resumable=True,
    )


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
    """One pretraining run in its staging folder."""

    def __init__(self, rows: Path, tokenizer: Path, folder: Path, config: PretrainConfig):
        self._rows, self._tokenizer, self._folder, self._config = rows, tokenizer, folder, config
        self._train_rows, self._held_out_rows = load_rows(rows, "train"), load_rows(rows, "held_out")
        self._reader = load_reader(tokenizer)
        self._start, self._notes = starting_checkpoint(config, self._reader, self._train_rows)
        row_length = self._train_rows.ids.shape[1]
        self._batch_tokens = config.batch_rows * row_length
        self.total_steps = max(1, config.tokens // self._batch_tokens)
        if row_length > self._start.architecture.max_length:
            raise StackbertError(
                f"{rows}: rows of {row_length} tokens, but the base reads {self._start.architecture.max_length} at "
                "most; encode with a smaller row_length"
            )
        dtype = self._chosen_dtype()
        encoder = Encoder(self._start.architecture, self._start.weights, dtype)
        self._step = MlmStep(encoder, config, self.total_steps, self._embedding_steps())
        reader = self._reader
        masker = Masker(reader.vocab_size, reader.special_ids, reader.mask_id, config.mask_rate)
        self._batches = TrainingBatches(self._train_rows, masker, config.batch_rows, config.seed)
        self._held_out = held_out_batches(
            self._held_out_rows, masker, config.batch_rows, config.held_out_rows, config.seed
        )
        self._state = RunState(folder / SCRATCH, config.save_seconds, encoder=encoder, **self._step.optimizers)
        self._notes.append(f"{dtype.name} products, {self.total_steps:,} steps of {self._batch_tokens:,} tokens")

    def train(self) -> dict[str, Any]:
        """Train to the end and export; returns the counts for the manifest."""
        for note in self._notes:
            print(note)
        history = self._resume()
        log = tf.summary.create_file_writer(str(self._folder / "tensorboard"))
        with self._state.stopping_cleanly(), log.as_default():
            if not history:
                history.append(self._evaluate(0))
            self._loop(history)
        self._export(history)
        return {
            "steps": self.total_steps,
            "tokens": self.total_steps * self._batch_tokens,
            "epochs": round(self.total_steps * self._config.batch_rows / len(self._train_rows.ids), 3),
            "precision": self._step.encoder.dtype.name,
            "notes": self._notes,
            "held_out_before": history[0],
            "held_out_after": history[-1],
        }

    def _chosen_dtype(self) -> tf.DType:
        """The precision of this run: chosen once and kept in the staging folder, so that a resumed run keeps it."""
        path = self._folder / "precision.json"
        if not path.is_file():
            write_json(path, choose_dtype(self._config.precision).name)
        return tf.as_dtype(json.loads(path.read_text("utf-8")))

    def _embedding_steps(self) -> int:
        """Steps that train the word table and the head alone: none where the base keeps its vocabulary."""
        is_new = tokenizer_of_rows(self._rows) != _tokenizer_of_base(self._config.base)
        return round(self.total_steps * self._config.embeddings_first) if is_new else 0

    def _resume(self) -> list[dict[str, float]]:
        if not self._state.restore():
            return []
        step = self._done
        history = json.loads((self._folder / "history.json").read_text("utf-8"))
        print(f"going on from step {step:,} of {self.total_steps:,}")
        return [point for point in history if point["step"] <= step]

    @property
    def _done(self) -> int:
        return self._step.done

    def _loop(self, history: list[dict[str, float]]) -> None:
        first = self._done
        evaluate_at = {
            round(self.total_steps * n / (self._config.evaluations + 1)) for n in range(1, self._config.evaluations + 1)
        }
        evaluate_at = (evaluate_at | {self.total_steps}) - {point["step"] for point in history}
        meter = _Meter(first, self.total_steps, self._batch_tokens)
        for step, batch in enumerate(self._batches.from_step(first, self.total_steps), first + 1):
            loss, accuracy, norm = (float(value) for value in self._step.train(batch, step - 1))
            if not math.isfinite(loss) or not math.isfinite(norm) or loss > LOSS_BLOWN_UP:
                raise TrainingError(
                    f"step {step}: loss {loss}, gradient norm {norm}; the last good state is kept in {self._folder}. "
                    "Lower learning_rate, or use precision float32"
                )
            meter.add(step, loss, batch)
            if step in evaluate_at:
                history.append(self._evaluate(step))
            if meter.due():
                meter.report()
                tf.summary.scalar("loss", loss, step)
                tf.summary.scalar("accuracy", accuracy, step)
                tf.summary.scalar("gradient_norm", norm, step)
                tf.summary.scalar("tokens_per_second", meter.rate, step)
            if step < self.total_steps:
                self._state.save_if_due(step)
        meter.report()
        self._state.save(self.total_steps)

    def _evaluate(self, step: int) -> dict[str, float]:
        sums = np.sum([[float(value) for value in self._step.evaluate(batch)] for batch in self._held_out], axis=0)
        loss, accuracy = (float(part / sums[2]) for part in sums[:2])
        point = {
            "step": step,
            "tokens": step * self._batch_tokens,
            "loss": loss,
            "accuracy": accuracy,
            "bits_per_byte": loss / math.log(2) * self._held_out_rows.tokens_per_byte,
        }
        measured = f"loss {loss:.3f}, accuracy {accuracy:.3f}, {point['bits_per_byte']:.3f} bits a byte"
        print(f"held out at step {step:,}: {measured}")
        for name in ("loss", "accuracy", "bits_per_byte"):
            tf.summary.scalar(f"held_out_{name}", point[name], step)
        path = self._folder / "history.json"
        known = json.loads(path.read_text("utf-8")) if path.is_file() else []
        write_json(path, [*(p for p in known if p["step"] < step), point])
        return point

    def _export(self, history: list[dict[str, float]]) -> None:
        adapted = replace(self._start, weights=self._step.encoder.numpy_weights(), has_mlm_head=True)
        save_checkpoint(adapted, self._tokenizer, self._folder)
        write_card(self._folder, self._config, self._notes, history)


class _Meter:
    """The progress line: rate and loss since the last one, and the time left."""

    def __init__(self, first: int, total: int, batch_tokens: int):
        self._total, self._batch_tokens = total, batch_tokens
        self._step = self._reported = first
        self._since = time.monotonic()
        self._losses: list[float] = []
        self._padding: list[float] = []
        self.rate = 0.0

    def add(self, step: int, loss: float, batch: MaskedBatch) -> None:
        self._step = step
        self._losses.append(loss)
        self._padding.append(float(np.mean(batch.segments_BT.numpy() == 0)))

    def due(self) -> bool:
        return time.monotonic() - self._since >= REPORT_SECONDS

    def report(self) -> None:
        if not self._losses:
            return
        now = time.monotonic()
        self.rate = (self._step - self._reported) * self._batch_tokens / max(now - self._since, 1e-9)
        left = (self._total - self._step) * self._batch_tokens / max(self.rate, 1e-9)
        print(
            f"step {self._step:,}/{self._total:,}  loss {np.mean(self._losses):.3f}  {self.rate:,.0f} tokens/s  "
            f"padding {np.mean(self._padding):.1%}  {left / 60:.1f} min left",
            file=sys.stderr,
        )
        self._reported, self._since = self._step, now
        self._losses.clear()
        self._padding.clear()


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
