"""A learning-rate range test: the first steps of a run with a rising rate, to see where the loss falls fastest."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from pretrain.config import OF_TARGETS, PretrainConfig, unused_settings
from pretrain.init.initial_checkpoint import build_initial_checkpoint, tokenizer_of_base
from pretrain.measure.config import FindRateConfig
from pretrain.measure.rate_curve import RateCurve, RateSuggestion, read_curve, suggest_rate
from pretrain.model.encoder import Encoder
from pretrain.objectives.builder import build_objective
from pretrain.objectives.objective import Batch, trained_weights
from pretrain.train.batches import TrainingBatches
from pretrain.train.device import choose_dtype
from pretrain.train.optimizer import rising_rate
from pretrain.train.replicas import Replicas, find_replicas
from pretrain.train.step import CompiledStep, StepMetrics, TrainStep, compile_step, num_micro_batches
from pretrain.train.timing import WARM_UP_EXECUTIONS
from stackbert.core.artifact import identify, versions, write_json
from stackbert.core.checkpoints import is_random, resolve_base
from stackbert.core.errors import require
from stackbert.core.place import require_file_place
from stackbert.core.progress import Progress
from tokenizer.encoding.packed_rows import check_tokenizer, identify_tokenizer, load_rows, tokenizer_of_rows
from tokenizer.encoding.reader import load_reader

DEFAULT_STEPS, FEWEST_STEPS = 100, 10


@dataclass(frozen=True)
class FoundRate:
    """The curve of a range test, and what it was made from."""

    notes: tuple[str, ...]
    """How the initial checkpoint was made, and what the steps are."""
    curve: RateCurve
    made_from: dict[str, Any]
    """Settings, devices, precision and versions."""

    def __str__(self) -> str:
        return "\n".join([*self.notes, "", str(self.curve)])

    def as_json(self) -> dict[str, Any]:
        """The suggestion, the curve, and what it was made from."""
        found, curve = suggest_rate(self.curve), self.curve
        points = zip(curve.rates_N, curve.losses_N, curve.smoothed_N, strict=True)
        names = ("rate", "loss", "smoothed_loss")
        return {
            "suggestion": asdict(found) if isinstance(found, RateSuggestion) else None,
            "no_suggestion": "" if isinstance(found, RateSuggestion) else found,
            "stopped": curve.stopped,
            "curve": [dict(zip(names, map(float, point), strict=True)) for point in points],
            **self.made_from,
        }


def find_rate(
    rows: Path, tokenizer: Path, config: PretrainConfig, test: FindRateConfig, out: Path | None = None
) -> FoundRate:
    """Train as 'pretrain run' begins, but with a rate that rises geometrically from `test.low` to `test.high`.

    It is the range test of Smith (2017, arXiv 1506.01186, section 3.3). Its steps, `config.steps` or else
    DEFAULT_STEPS, train all weights with the run's base, objective, batches, precision and devices. Nothing is written,
    but to the JSON file `out` if given. Raises StackbertError as 'pretrain run' does.
    """
    num_steps = config.steps or DEFAULT_STEPS
    require(num_steps >= FEWEST_STEPS, f"steps {num_steps}: a range test needs {FEWEST_STEPS} or more")
    check_tokenizer(rows, tokenizer)
    inputs = {"rows": rows} | ({} if is_random(config.base) else {"base": resolve_base(config.base)})
    if out:
        require_file_place(out, tokenizer, *inputs.values())
    replicas = _replicas(config)
    dtype = choose_dtype(config.precision, replicas.accelerated)
    notes, metrics = _train(rows, tokenizer, config, num_steps, test, replicas, dtype)
    curve = read_curve([step.learning_rate for step in metrics], [step.loss for step in metrics], num_steps)
    made_from = {
        "config": asdict(config.recorded) | {"steps": num_steps} | asdict(test),
        "devices": replicas.count,
        "precision": dtype.name,
        "versions": versions(),
    }
    found = FoundRate(tuple(notes), curve, made_from)
    if out:
        hashes = {name: identify(path) for name, path in inputs.items()}
        write_json(out, found.as_json() | {"inputs": hashes | {"tokenizer": identify_tokenizer(tokenizer)}})
    return found


def _replicas(config: PretrainConfig) -> Replicas:
    """The devices that share a batch of the run."""
    replicas = find_replicas(config.device)
    require(
        replicas.workers == 1,
        "a range test runs on one machine: unset TF_CONFIG; with micro_batch_rows, one machine takes the whole batch",
    )
    replicas.check("batch_rows", config.batch_rows)
    num_micro_batches(config.batch_rows // replicas.count, config.micro_batch_rows)  # raises where there are none
    return replicas


def _train(
    rows: Path,
    tokenizer: Path,
    config: PretrainConfig,
    num_steps: int,
    test: FindRateConfig,
    replicas: Replicas,
    dtype: tf.DType,
) -> tuple[list[str], list[StepMetrics]]:
    """Notes on the test, and its steps, up to the execution in which the loss diverged."""
    reader = load_reader(tokenizer)
    train_rows = load_rows(rows, "train", with_targets=config.objective in OF_TARGETS)
    initial, notes = build_initial_checkpoint(config, reader, train_rows, dtype)
    has_new_vocabulary = tokenizer_of_rows(rows) != tokenizer_of_base(config.base)
    with replicas.scope():
        encoder = Encoder(initial.architecture, initial.weights, dtype)
        objective, collator, *_ = build_objective(config, encoder, reader, train_rows, has_new_vocabulary)
        variables = list(trained_weights(encoder.weights, objective).values())
        rate_of = rising_rate(test.low, test.high, num_steps)
        step = TrainStep(objective, variables, num_steps, config, replicas, rate_of=rate_of)
    execute = compile_step(step, replicas, config.steps_per_execution)
    source = TrainingBatches(train_rows, collator, config.batch_rows, config.seed)
    batches = replicas.distribute(partial(source.dataset, 0, num_steps))
    row_length = train_rows.ids.shape[1]
    notes.append(
        f"{dtype.name} products, {num_steps:,} steps of {config.batch_rows * row_length:,} tokens, learning rate from "
        f"{test.low:g} to {test.high:g}"
    )
    notes += unused_settings(config, has_new_vocabulary, initial.has_mlm_head)
    return notes, _execute(execute, batches, num_steps)


def _execute(execute: CompiledStep, batches: Iterator[Batch], num_steps: int) -> list[StepMetrics]:
    taken: list[StepMetrics] = []
    with Progress("rate finder", num_steps, unit="steps", warm_up=WARM_UP_EXECUTIONS) as progress:
        while len(taken) < num_steps:
            count = min(execute.steps_per_execution, num_steps - len(taken))
            taken += execute(batches, count)
            progress.advance(count, f"rate {taken[-1].learning_rate:.1e}, loss {taken[-1].loss:.3f}")
            if read_curve([], [step.loss for step in taken], num_steps).stopped:
                break
    return taken
