"""What a pretraining run will take, before it begins: on this machine, measured, and on TPU slices, compiled for."""

# B rows of a batch, T tokens

import math
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.config import PreflightConfig, PretrainConfig, PretrainPlanConfig
from pretrain.measure.preflight import Preflight, check_compiler, check_slice, preflight
from pretrain.run import check_tokenizer
from pretrain.train.replicas import find_replicas
from pretrain.train.step import EMBEDDING_PARTS
from pretrain.train.trainer import Run
from stackbert.core.errors import require

GIB = 2**30
STATES = 3  # two are kept while the next is written
COPIES = 3  # of each weight in a state: itself and AdamW's two moments
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Estimate:
    """What the whole run takes in one place."""

    place: str
    tokens_per_second: float
    """Padding included."""
    hours: float
    memory: int
    """Bytes on each device, or of this machine's process."""
    fits: bool
    money: float | None
    """Where a price was given."""


@dataclass(frozen=True)
class Plan:
    """A run's size, and an estimate for each place."""

    tokens: int
    steps: int
    epochs: float
    disk: int
    """Bytes of the text's packed rows, states and checkpoints."""
    estimates: tuple[Estimate, ...]

    def __str__(self) -> str:
        head = (
            f"{self.tokens:,} tokens: {self.steps:,} steps, {self.epochs:,.2f} epochs; "
            f"{self.disk / GIB:,.1f} GiB of disk for packed rows, states and checkpoints"
        )
        lines = [f"{'where':<16}{'tokens/s':>14}{'hours':>10}{'memory, GiB':>14}{'money':>12}"]
        for one in self.estimates:
            money = "" if one.money is None or not one.fits else f"{one.money:,.2f}"
            hours = f"{one.hours:,.{3 if one.hours < 1 else 2}f}" if one.fits else "too large"
            rate = f"{one.tokens_per_second:,.0f}" if one.fits else ""
            lines.append(f"{one.place:<16}{rate:>14}{hours:>10}{one.memory / GIB:>14,.2f}{money:>12}")
        return "\n".join([head, *lines])


def plan_pretraining(rows: Path, tokenizer: Path, config: PretrainConfig, plan: PretrainPlanConfig) -> Plan:
    """Train for `plan.seconds` here, writing nothing, and reckon from that what the run of `config` takes.

    A budget in tokens, steps or epochs is taken as `config` has it; epochs are of `plan.text_gigabytes` where given.
    Raises StackbertError as 'pretrain run' and 'pretrain preflight' do.
    """
    require(not config.minutes, "minutes: a plan says how long a run takes; give its budget in tokens, steps or epochs")
    check_tokenizer(rows, tokenizer)
    for topology in plan.topologies:
        check_slice(topology, config.batch_rows)
    if plan.topologies:
        check_compiler(plan.compiler_python)
    begun = time.monotonic()
    # steps that train everything, as nearly all are
    endless = replace(config, tokens=2**62, steps=0, epochs=0.0, embeddings_first=0.0)
    replicas = find_replicas(config.device)
    require(replicas.workers == 1, "a plan measures one machine: unset TF_CONFIG, and reckon the others' part of it")
    run = Run(rows, tokenizer, None, endless, replicas)
    loading = time.monotonic() - begun
    times = run.take_times(plan.seconds)
    row_length = run.batch_tokens // config.batch_rows
    epoch_steps = _epoch_tokens(run, plan) / run.batch_tokens
    if config.epochs:
        steps = math.ceil(config.epochs * epoch_steps)
    else:
        steps = config.steps or max(1, config.tokens // run.batch_tokens)
    evaluations = (config.evaluations + 2) * times.evaluation
    seconds = loading + times.preparing + steps * times.step + evaluations
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    money = plan.price_here * seconds / 3600 if plan.price_here else None
    here = Estimate("this machine", run.batch_tokens / times.step, seconds / 3600, memory, True, money)
    slices = [_on_slice(name, run, row_length, steps, config, plan) for name in plan.topologies]
    return Plan(steps * run.batch_tokens, steps, steps / epoch_steps, _disk(run, config, plan), (here, *slices))


def _disk(run: Run, config: PretrainConfig, plan: PretrainPlanConfig) -> int:
    weights = run.num_weights * (STATES * COPIES + 1 + config.exports)
    if config.embeddings_first and run.has_new_vocabulary:
        first = sum(array.size for name, array in run.start.weights.items() if name.startswith(EMBEDDING_PARTS))
        weights += first * STATES * (COPIES - 1)  # the moments of an optimizer of their own
    return FLOAT_BYTES * weights + round(_epoch_tokens(run, plan) * run.train_rows.ids.itemsize)


def _epoch_tokens(run: Run, plan: PretrainPlanConfig) -> float:
    """Tokens of one reading of the text, padding included."""
    rows = run.train_rows
    tokens = rows.ids.size
    return tokens * plan.text_gigabytes * 1e9 / rows.text_bytes if plan.text_gigabytes else tokens


def _on_slice(
    topology: str, run: Run, row_length: int, steps: int, config: PretrainConfig, plan: PretrainPlanConfig
) -> Estimate:
    asked = PreflightConfig(
        model=config.base,
        row_length=row_length,
        batch_rows=config.batch_rows,
        mask_rate=config.mask_rate,
        micro_batch_rows=config.micro_batch_rows,
        teacher_row_length=run.teacher_row_length,
        topology=topology,
        compiler_python=plan.compiler_python,
    )
    found: Preflight = preflight(asked, (run.start.architecture, run.start.weights))
    if not found.fits:
        return Estimate(topology, 0.0, 0.0, found.memory, False, None)
    rate = found.tokens_per_second * plan.roofline_share
    hours = steps * run.batch_tokens / rate / 3600
    money = hours * found.chips * plan.price_chip if plan.price_chip else None
    return Estimate(topology, rate, hours, found.memory, True, money)
