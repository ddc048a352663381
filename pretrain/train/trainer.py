"""The training loop: steps, validation losses, saved states, exported checkpoints."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from pretrain.config import OF_TARGETS, PretrainConfig, unused_settings
from pretrain.init.initial_checkpoint import build_initial_checkpoint, tokenizer_of_base
from pretrain.model.card import write_card
from pretrain.model.encoder import Encoder
from pretrain.objectives.builder import build_objective
from pretrain.objectives.objective import Objective
from pretrain.probe.probe import load_probe
from pretrain.train.batches import TrainingBatches
from pretrain.train.device import choose_dtype
from pretrain.train.exporter import Exporter, tokens_before
from pretrain.train.phases import Phase, build_phases
from pretrain.train.progress_log import ProgressLog
from pretrain.train.replicas import GONE, Replicas, explain_gone
from pretrain.train.state import STOPPED_EXIT_CODE, RunState, Stopped
from pretrain.train.step import StepMetrics, num_micro_batches
from pretrain.train.timing import WARM_UP_EXECUTIONS, step_seconds
from pretrain.train.validation import Evaluations, TrainingError, Validation, spread
from stackbert.core.artifact import REQUEST, SCRATCH, write_json
from stackbert.core.checkpoints import CHECKPOINTS, export_folder
from stackbert.core.progress import Progress
from tokenizer.encoding.packed_rows import load_rows, tokenizer_of_rows
from tokenizer.encoding.reader import load_reader
from tokenizer.files.tokenizer_files import check_writing

DTYPES = (tf.float32, tf.bfloat16)  # a training state holds an index
MAX_LOSS = 50.0  # nats; beyond it training has diverged: ln of any vocabulary size is below 13
MAX_NONFINITE_STEPS = 10  # steps in a row whose gradient is not finite; the optimizer skips each of their updates


@dataclass(frozen=True)
class RunTimes:
    """Seconds that parts of a run take on this machine."""

    preparation: float
    """Tracing and compilation."""
    step: float
    """Mean, batch preparation included."""
    evaluation: float


class Trainer:
    """One pretraining run: on the chief, which writes to its staging folder, or on another worker, which has none."""

    def __init__(
        self, rows: Path, tokenizer: Path, folder: Path | None, config: PretrainConfig, replicas: Replicas
    ) -> None:
        self._rows, self._tokenizer, self._folder, self._config = rows, tokenizer, folder, config
        self._replicas = replicas
        replicas.check("batch_rows", config.batch_rows)
        num_micro_batches(config.batch_rows // replicas.count, config.micro_batch_rows)  # raises where there are none

        reads_targets = config.objective in OF_TARGETS
        self.train_rows, validation_rows = (
            load_rows(rows, split, with_targets=reads_targets) for split in ("train", "validation")
        )
        self._reader = load_reader(tokenizer)
        self._state = RunState(self._state_folder(), config.save_seconds, local_io=replicas.is_pod)
        self._history: list[dict[str, float]] = self._state.memo.setdefault("history", [])
        dtype = self._choose_dtype()
        scratch = folder / SCRATCH if folder else None
        self.initial, self._notes = build_initial_checkpoint(config, self._reader, self.train_rows, dtype, scratch)
        check_writing(tokenizer, self.initial.config)  # before the run, not after it
        self.row_length = self.train_rows.ids.shape[1]
        self.batch_tokens = config.batch_rows * self.row_length

        with replicas.scope():
            self._encoder = Encoder(self.initial.architecture, self.initial.weights, dtype)
            objective, collator, self.teacher_row_length, validated = build_objective(
                config, self._encoder, self._reader, self.train_rows, self.has_new_vocabulary
            )
        self._batches = TrainingBatches(self.train_rows, collator, config.batch_rows, config.seed)
        validation = Validation(objective, validation_rows, validated or collator, config, replicas)

        self.total_steps = self._choose_once("steps", lambda: self._budget(objective))
        is_new = self.has_new_vocabulary
        self._phases = build_phases(config, self._encoder, objective, self.total_steps, replicas, self._reader, is_new)
        head = {"objective": objective} if objective.weights else {}
        self._exporter = Exporter(config, self.initial, self._encoder, rows, tokenizer)
        self._export_at = spread(config.exports, self.total_steps)
        self._evaluations = self._build_evaluations(validation)
        self._state.track(encoder=self._encoder, **head, **self._phases.optimizers, **self._evaluations.tracked)
        self._nonfinite_steps = 0  # of the latest steps in a row
        self._notes += [*self._exporter.notes, *self._describe(dtype)]

    def train(self) -> dict[str, Any]:
        """Train to the end and export; returns the counts for the manifest, none on a worker that is not the chief."""
        for note in self._notes:
            self._print(note)
        self._resume()
        log = tf.summary.create_noop_writer()
        if self._folder:
            log = tf.summary.create_file_writer(str(self._folder / "tensorboard"))
        with self._state.stopping_cleanly(), log.as_default():
            if not self._replicas.agree(len(self._history)):
                self._evaluate(0)
            self._loop()
        self._evaluations.restore_best()
        if not self._folder:
            return {}
        for note in self._evaluations.outcome(self.total_steps):
            self._print(note)
            self._notes.append(note)
        self._exporter.export(self._folder)
        write_card(self._folder, self._config, self._notes, self._history)
        return self._counts()

    @property
    def has_new_vocabulary(self) -> bool:
        """Whether the rows are in another vocabulary than the base's own."""
        return tokenizer_of_rows(self._rows) != tokenizer_of_base(self._config.base)

    def measure(self, seconds: float) -> RunTimes:
        """Time an evaluation, and steps for `seconds`; changes the weights and writes nothing."""
        batches = self._replicas.distribute(partial(self._batches.dataset, 0, self.total_steps))
        execute = self._phases.at(0).execute
        count = execute.steps_per_execution
        begun = time.monotonic()
        self._evaluate(0)
        for _ in range(WARM_UP_EXECUTIONS):
            execute(batches, count)
        ready = time.monotonic()
        self._evaluate(0)
        evaluated = time.monotonic()
        executions = 0
        while executions < WARM_UP_EXECUTIONS or time.monotonic() - evaluated < seconds:
            execute(batches, count)
            executions += 1
        step = (time.monotonic() - evaluated) / (executions * count)
        first = evaluated - ready + WARM_UP_EXECUTIONS * count * step  # of the run's own steps, which are counted there
        return RunTimes(max(0.0, ready - begun - first), step, evaluated - ready)

    def export(self, folder: Path) -> None:
        """Write the weights as they are now as a checkpoint; after `measure`, it stands in for that of the run."""
        folder.mkdir(parents=True)
        self._exporter.export(folder)

    def _counts(self) -> dict[str, Any]:
        """What the manifest says of a finished run."""
        steps, exported = self._phases.done, self._evaluations.exported
        chosen = {"exported_step": exported["step"]} if self._evaluations.tracked else {}
        return {
            "steps": steps,
            **chosen,
            "tokens": steps * self.batch_tokens,
            "total_tokens": exported["tokens"] + tokens_before(self._config.base),
            "epochs": round(steps * self._config.batch_rows / len(self.train_rows.ids), 3),
            "precision": self._encoder.dtype.name,
            "devices": self._replicas.count,
            "skipped_updates": self._phases.skipped_updates,
            "notes": self._notes,
            "validation_before": self._history[0],
            "validation_after": exported,
        }

    def _state_folder(self) -> str | None:
        """The folder of training states; None on a worker that gets its state from the chief."""
        if not self._folder:
            return None
        if not self._config.state_folder:
            return str(self._folder / SCRATCH)
        identity = hashlib.sha256((self._folder / REQUEST).read_bytes()).hexdigest()
        return f"{self._config.state_folder.rstrip('/')}/{identity[:16]}"

    def _choose_once(self, name: str, choose: Callable[[], int]) -> int:
        """The chief's choice, made when the run begins and kept in its state."""
        known = self._replicas.agree(self._state.memo.get(name, -1))
        self._state.memo[name] = known if known >= 0 else self._replicas.agree(choose())
        return int(self._state.memo[name])

    def _choose_dtype(self) -> tf.DType:
        precision, accelerated = self._config.precision, self._replicas.accelerated
        return DTYPES[self._choose_once("precision", lambda: DTYPES.index(choose_dtype(precision, accelerated)))]

    def _budget(self, objective: Objective) -> int:
        """Steps within the configured budget."""
        config = self._config
        if config.minutes:
            heads = {variable.ref(): variable.numpy() for variable in objective.weights.values()}
            seconds = step_seconds(self._encoder, objective, config, self._replicas, self._batches)
            self._encoder.assign(self.initial.weights)
            for variable, before in heads.items():
                variable.deref().assign(before)
            return max(1, round(config.minutes * 60 / seconds))
        if config.epochs:
            return math.ceil(config.epochs * len(self.train_rows.ids) / config.batch_rows)
        return config.steps or max(1, config.tokens // self.batch_tokens)

    def _build_evaluations(self, validation: Validation) -> Evaluations:
        replicas = self._replicas
        probe = load_probe(self._config, self._reader, self.row_length, replicas.count, self._exporter.taught)
        self._notes += [probe.description] if probe else []
        with replicas.scope():
            return Evaluations(self._config, replicas, validation, self._encoder, probe, self._history, self._folder)

    def _describe(self, dtype: tf.DType) -> list[str]:
        config = self._config
        share = config.distill_decay_share
        decay = f", which decays to 0 over the last {100 * share:g} % of the steps" if share else ""
        notes = [f"distillation from the base's text vectors, weight {config.distill_weight:g}{decay}"]
        notes = notes if config.distill_weight else []
        notes.append(f"{dtype.name} products, {self.total_steps:,} steps of {self.batch_tokens:,} tokens")
        if self._replicas.count > 1:
            notes.append(f"{self._replicas.count} devices share each batch")
        return [*notes, *unused_settings(config, self.has_new_vocabulary, self.initial.has_mlm_head)]

    def _print(self, text: str) -> None:
        if self._folder:
            print(text)

    def _resume(self) -> None:
        if self._state.restore() and self._folder:
            self._print(f"resuming at step {self._phases.done:,} of {self.total_steps:,}")
            self._note_missing_exports(self._folder)
        self._replicas.broadcast([*self._phases.variables, *self._evaluations.variables])

    def _note_missing_exports(self, folder: Path) -> None:
        """Exports are lost where the state is in another folder than the output and outlived it."""
        write_json(folder / "history.json", self._history)
        exported = sorted(step for step in self._export_at if step <= self._phases.done)
        missing = [path.name for path in (export_folder(folder, step) for step in exported) if not path.is_dir()]
        if missing:
            self._notes.append(f"{', '.join(missing)} of {CHECKPOINTS} were deleted with an earlier output folder")
            self._print(self._notes[-1])

    def _loop(self) -> None:
        step, total = self._phases.done, self.total_steps
        validate_at = spread(self._config.evaluations, total) | {total}
        batches = self._replicas.distribute(partial(self._batches.dataset, step, total))
        log = ProgressLog(step, self.batch_tokens, masks_tokens=self._evaluations.masks_tokens)
        compiled: Phase | None = None
        is_over = self._evaluations.is_over()
        with Progress("pretraining", total, step, unit="steps", quiet=not self._replicas.is_chief) as progress:
            while step < total and not is_over:
                phase = self._phases.at(step)
                if phase is not compiled:
                    progress.warm_up(WARM_UP_EXECUTIONS)
                    compiled = phase
                stop = min(at for at in validate_at | self._export_at | {phase.end} if at > step)
                count = min(phase.execute.steps_per_execution, stop - step)
                try:
                    metrics = phase.execute(batches, count, self._state.asked_to_stop)
                except GONE as error:
                    raise TrainingError(f"step {step + 1}: {explain_gone(error)}") from None
                self._check(step, metrics)
                step += count
                progress.advance(count, log.add(step, metrics, self._phases.skipped_updates))
                if step in validate_at:
                    self._evaluate(step)
                    is_over = self._evaluations.is_over()
                if step in self._export_at and self._folder:
                    self._exporter.export_whole(export_folder(self._folder, step))
                if step < total and not is_over:
                    self._save_or_stop(step, bool(metrics[-1].num_stopping))
        log.report()
        self._state.save(step)

    def _save_or_stop(self, step: int, is_stopping: bool) -> None:
        # several workers must stop at the same step: they learn of it from the step's metrics
        if is_stopping or (self._replicas.workers == 1 and self._state.asked_to_stop):
            self._state.save(step)
            raise Stopped(STOPPED_EXIT_CODE)
        self._state.save_if_due(step)

    def _check(self, step: int, metrics: list[StepMetrics]) -> None:
        """Raise TrainingError where one of the steps after number `step` diverged."""
        for number, one in enumerate(metrics, step + 1):
            self._nonfinite_steps = 0 if math.isfinite(one.gradient_norm) else self._nonfinite_steps + 1
            if math.isfinite(one.loss) and one.loss <= MAX_LOSS and self._nonfinite_steps < MAX_NONFINITE_STEPS:
                continue
            execution = f" (executed with steps {step + 1} to {step + len(metrics)})" if len(metrics) > 1 else ""
            raise TrainingError(
                f"step {number}{execution}: loss {one.loss}, gradient norm {one.gradient_norm}; the last good state is "
                f"in {self._state_folder()}, but the same command would fail at the same step. Start another run in "
                "another folder, with a lower learning_rate or precision float32"
            )

    def _evaluate(self, step: int) -> None:
        self._evaluations.run(step, step * self.batch_tokens)
