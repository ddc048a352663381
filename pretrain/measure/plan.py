"""Estimates for a pretraining run: measured on this machine, and compiled for TPU slices."""

# B rows of a batch, T tokens

import math
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.config import PretrainConfig
from pretrain.measure.config import MachinesConfig, PreflightConfig, PretrainPlanConfig
from pretrain.measure.preflight import Preflight, check_compiler, check_slice, preflight
from pretrain.train.phases import EMBEDDING_PREFIXES
from pretrain.train.replicas import Replicas, find_replicas
from pretrain.train.trainer import RunTimes, Trainer
from stackbert.core.errors import require
from stackbert.core.process import forget_peak, peak_bytes
from tokenizer.encoding.packed_rows import check_tokenizer

GIB = 2**30
STATES = 3  # saved at once: two are kept while the next is written
COPIES = 3  # of each weight in a state: its value and AdamW's two moments
FLOAT_BYTES = 4
FLOP_PER_WEIGHT = 6  # of a token, forward and backward
LARGE_STEP = 1e13  # floating-point operations: half a minute and more on a CPU
SMALL_STEP_TOKENS = 4_096  # of a step that stands in for a large one; enough to keep a CPU busy


@dataclass(frozen=True)
class Estimate:
    """What the whole run takes on one kind of machine."""

    machine: str
    tokens_per_second: float
    """Padding included."""
    hours: float
    memory: int
    """Bytes on each device, or of the process on this machine."""
    fits: bool
    cost: float | None
    """None without a price."""


@dataclass(frozen=True)
class Plan:
    """A run's size, and an estimate for each kind of machine."""

    tokens: int
    steps: int
    epochs: float
    disk: int
    """Bytes of packed rows, training states and checkpoints."""
    estimates: tuple[Estimate, ...]

    def __str__(self) -> str:
        head = (
            f"{self.tokens:,} tokens: {self.steps:,} steps, {self.epochs:,.2f} epochs; "
            f"{self.disk / GIB:,.1f} GiB of disk for packed rows, training states and checkpoints"
        )
        lines = [f"{'machine':<16}{'tokens/s':>14}{'hours':>10}{'memory, GiB':>14}{'cost':>12}"]
        for one in self.estimates:
            cost = "" if one.cost is None or not one.fits else f"{one.cost:,.2f}"
            hours = f"{one.hours:,.{3 if one.hours < 1 else 2}f}" if one.fits else "too large"
            rate = f"{one.tokens_per_second:,.0f}" if one.fits else ""
            lines.append(f"{one.machine:<16}{rate:>14}{hours:>10}{one.memory / GIB:>14,.2f}{cost:>12}")
        return "\n".join([head, *lines])


def plan_pretraining(
    rows: Path, tokenizer: Path, config: PretrainConfig, plan: PretrainPlanConfig, stand_in: Path | None = None
) -> Plan:
    """Train for `plan.seconds` on this machine and estimate the run of `config` from that.

    An epoch is one pass over `plan.text_gigabytes` where given. Nothing is written, but to `stand_in` if given: a
    checkpoint with the shapes of the run's. Raises StackbertError as 'pretrain run' and 'pretrain preflight' do.
    """
    check_plan(config, plan)
    check_tokenizer(rows, tokenizer)
    forget_peak()
    begun = time.monotonic()
    # times steps that train all weights: nearly all steps do
    endless = replace(config, tokens=2**62, steps=0, epochs=0.0, embeddings_first=0.0, new_rows_first=0.0)
    replicas = find_replicas(config.device)
    require(
        replicas.workers == 1,
        "a plan measures one machine: unset TF_CONFIG, and divide the hours by the number of machines",
    )
    trainer = Trainer(rows, tokenizer, None, endless, replicas)
    loading = time.monotonic() - begun
    times = _measure(trainer, endless, (rows, tokenizer), replicas, plan.seconds)
    if stand_in:
        trainer.export(stand_in)
    epoch_steps = _epoch_tokens(trainer, plan) / trainer.batch_tokens
    if config.epochs:
        steps = math.ceil(config.epochs * epoch_steps)
    else:
        steps = config.steps or max(1, config.tokens // trainer.batch_tokens)
    evaluations = (config.evaluations + 2) * times.evaluation
    seconds = loading + times.preparation + steps * times.step + evaluations
    memory = peak_bytes() or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cost = plan.price_here * seconds / 3600 if plan.price_here else None
    here = Estimate("this machine", trainer.batch_tokens / times.step, seconds / 3600, memory, True, cost)
    slices = [_on_slice(name, trainer, steps, config, plan) for name in plan.topologies]
    return Plan(steps * trainer.batch_tokens, steps, steps / epoch_steps, _disk(trainer, config, plan), (here, *slices))


def _measure(
    trainer: Trainer, config: PretrainConfig, inputs: tuple[Path, Path], replicas: Replicas, seconds: float
) -> RunTimes:
    """Times of the run's step; where a CPU would take minutes for some of them, of a smaller one, times its size.

    The optimizer's share, some per cent of a small step, is then counted too often.
    """
    body = sum(array.size for name, array in trainer.initial.weights.items() if not name.startswith("embeddings/"))
    if replicas.accelerated or FLOP_PER_WEIGHT * body * trainer.batch_tokens < LARGE_STEP:
        return trainer.measure(seconds)
    rows = -(-max(1, SMALL_STEP_TOKENS // trainer.row_length) // replicas.count) * replicas.count
    evaluated = min(rows, config.validation_rows)
    # which weights the step has does not change its time, and 'distill' would fit them a second time
    small = replace(config, batch_rows=rows, micro_batch_rows=0, validation_rows=evaluated, transfer="mean")
    small = replace(small, probe_texts=math.ceil(config.probe_texts * evaluated / config.validation_rows))
    times = Trainer(*inputs, None, small, replicas).measure(seconds)
    return RunTimes(
        times.preparation,
        times.step * config.batch_rows / rows,
        times.evaluation * config.validation_rows / evaluated,
    )


def check_plan(config: PretrainConfig, machines: MachinesConfig) -> None:
    """Raise StackbertError for a run or slices that cannot be planned."""
    require(not config.minutes, "minutes: a plan estimates the duration; set tokens, steps or epochs")
    for topology in machines.topologies:
        check_slice(topology, config.batch_rows)
    if machines.topologies:
        check_compiler(machines.compiler_python)


def _disk(trainer: Trainer, config: PretrainConfig, plan: PretrainPlanConfig) -> int:
    weights = sum(array.size for array in trainer.initial.weights.values()) * (STATES * COPIES + 1 + config.exports)
    phases = sum(share > 0 for share in (config.embeddings_first, config.new_rows_first))
    if phases and trainer.has_new_vocabulary:
        first = sum(
            array.size for name, array in trainer.initial.weights.items() if name.startswith(EMBEDDING_PREFIXES)
        )
        weights += phases * first * STATES * (COPIES - 1)  # the moments of their own optimizers
    return FLOAT_BYTES * weights + round(_epoch_tokens(trainer, plan) * trainer.train_rows.ids.itemsize)


def _epoch_tokens(trainer: Trainer, plan: PretrainPlanConfig) -> float:
    """Tokens of one epoch, padding included."""
    rows = trainer.train_rows
    tokens = rows.ids.size
    return tokens * plan.text_gigabytes * 1e9 / rows.text_bytes if plan.text_gigabytes else tokens


def _on_slice(
    topology: str, trainer: Trainer, steps: int, config: PretrainConfig, plan: PretrainPlanConfig
) -> Estimate:
    rows = trainer.train_rows
    words = rows.targets if config.objective == "words" else None
    request = PreflightConfig(
        model=config.base,
        row_length=trainer.row_length,
        batch_rows=config.batch_rows,
        mask_rate=config.mask_rate,
        micro_batch_rows=config.micro_batch_rows,
        teacher_row_length=trainer.teacher_row_length,
        pairs_per_row=rows.max_pairs if config.objective == "pairs" else 0,
        causal=config.objective == "causal",
        words_per_row=words.max_pairs if words else 0,
        titles_per_row=words.max_texts if words else PreflightConfig.titles_per_row,
        topology=topology,
        compiler_python=plan.compiler_python,
    )
    found: Preflight = preflight(request, (trainer.initial.architecture, trainer.initial.weights))
    if not found.fits:
        return Estimate(topology, 0.0, 0.0, found.memory, False, None)
    rate = found.tokens_per_second * plan.roofline_share
    hours = steps * trainer.batch_tokens / rate / 3600
    cost = hours * found.chips * plan.price_chip if plan.price_chip else None
    return Estimate(topology, rate, hours, found.memory, True, cost)
