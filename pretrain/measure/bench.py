"""Speed of a training step on this machine, and its share of the machine's matrix-product ceiling."""

# B rows, T tokens

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pretrain.config import PretrainConfig
from pretrain.measure.bench_models import MASK_ID, SPECIAL_IDS, named_model, random_rows
from pretrain.measure.config import BenchConfig
from pretrain.measure.products import Ceiling, StepProducts, rates_by_library
from pretrain.measure.profile import StepProfile, profile_pieces
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedBatch, MaskedLM, Masker
from pretrain.objectives.objective import Batch
from pretrain.train.batches import TrainingBatches
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import Replicas, find_replicas
from pretrain.train.step import CompiledStep, TrainStep, compile_step
from pretrain.train.timing import SCHEDULE_STEPS, WARM_UP_EXECUTIONS
from stackbert.core.errors import require
from tokenizer.encoding.packed_rows import PackedRows, load_rows


@dataclass(frozen=True)
class BenchResult:
    """Speed of a step."""

    devices: tuple[str, ...]
    """That share a step."""
    precision: str
    step_seconds: float
    """Median of the timed steps, batch preparation included."""
    tokens_per_second: float
    """Padding included."""
    padding_share: float
    text_bytes_per_second: float | None
    """UTF-8 bytes of the rows' text; None for random rows."""
    step_flop: float
    """Floating-point operations of the step's matrix products, forward and backward."""
    ceiling_flops: dict[str, float]
    """Operations per second of a device's fastest matrix product, by precision."""
    profile: StepProfile | None = None
    """Where the time goes, if it was asked for."""

    @property
    def ceiling_share(self) -> float:
        """Operations per second of a step, as a share of the devices' ceiling in the same precision."""
        return self.step_flop / self.step_seconds / len(self.devices) / self.ceiling_flops[self.precision]

    def __str__(self) -> str:
        text = f"{self.text_bytes_per_second / 1e3:,.1f} kB of text/s, " if self.text_bytes_per_second else ""
        ceilings = ", ".join(f"{name} {flops / 1e9:,.0f}" for name, flops in self.ceiling_flops.items())
        more = f" and {len(self.devices) - 1} more" if len(self.devices) > 1 else ""
        summary = (
            f"{self.devices[0]}{more}, {self.precision}: {self.step_seconds * 1e3:,.0f} ms per step, "
            f"{self.tokens_per_second:,.0f} tokens/s, {text}padding {self.padding_share:.1%}\n"
            f"{self.step_flop / 1e9:,.0f} GFLOP of matrix products per step: {self.ceiling_share:.0%} of the machine's "
            f"ceiling (GFLOP/s of its fastest product: {ceilings})"
        )
        return f"{summary}\n\n{self.profile}" if self.profile else summary


def run_bench(config: BenchConfig, rows: Path | None = None) -> BenchResult:
    """Time the training step on packed rows ('tokenizer encode'), or on random rows without padding.

    The ceiling is measured between the steps, so that a drift of the machine's speed affects both alike.
    """
    packed = load_rows(rows, "train") if rows else None
    config = replace(config, row_length=packed.ids.shape[1]) if packed else config
    architecture, weights = named_model(config)
    packed = packed or random_rows(config, architecture.vocab_size)
    _check_vocabulary(packed, architecture.vocab_size)
    replicas = _replicas(config)
    dtype = choose_dtype(config.precision, replicas.accelerated)
    masker = Masker(architecture.vocab_size, SPECIAL_IDS, MASK_ID, config.mask_rate)
    with replicas.scope():
        encoder = Encoder(architecture, weights, dtype)
        step = TrainStep(MaskedLM(encoder), list(encoder.weights.values()), SCHEDULE_STEPS, PretrainConfig(), replicas)
    execute = compile_step(step, replicas)
    num_steps = (WARM_UP_EXECUTIONS + config.steps) * execute.steps_per_execution
    batches = TrainingBatches(packed, masker.mask, config.batch_rows, seed=0)
    row_length, num_slots = config.row_length, config.batch_rows * masker.num_slots(config.row_length)
    products = StepProducts(architecture, config.batch_rows, row_length, num_slots)
    ceiling = Ceiling(products, replicas.devices[0])
    stream = replicas.distribute(partial(batches.dataset, 0, num_steps))
    seconds, tokens = _time_executions(execute, stream, config.steps, ceiling)
    median = statistics.median(seconds)
    profile = None
    if config.profile:
        batch = MaskedBatch(*next(replicas.distribute(partial(batches.dataset, 0, 1))))
        profile = StepProfile(median, profile_pieces(encoder, batch, products), rates_by_library(products))
    return BenchResult(
        devices=replicas.devices,
        precision=dtype.name,
        step_seconds=median,
        tokens_per_second=config.batch_rows * row_length / median,
        padding_share=1 - statistics.fmean(tokens) / config.batch_rows / row_length,
        text_bytes_per_second=config.batch_rows * packed.text_bytes / len(packed.ids) / median if rows else None,
        step_flop=products.flop,
        ceiling_flops=ceiling.best,
        profile=profile,
    )


def _replicas(config: BenchConfig) -> Replicas:
    """The devices to measure, which can be measured as configured."""
    replicas = find_replicas(config.device)
    require(replicas.workers == 1, "pretrain bench measures one machine: unset TF_CONFIG")
    replicas.check("batch_rows", config.batch_rows)
    require(not (config.profile and replicas.accelerated), "profile: only on a CPU; set device to cpu, or leave it out")
    return replicas


def _check_vocabulary(rows: PackedRows, vocab_size: int) -> None:
    require(
        rows.ids.max() < vocab_size,
        f"the rows have ids up to {rows.ids.max()}, but the model's vocabulary has {vocab_size}; set vocab_size, or a "
        "model with the rows' vocabulary",
    )


def _time_executions(
    execute: CompiledStep, batches: Iterator[Batch], number: int, ceiling: Ceiling
) -> tuple[list[float], list[float]]:
    """Seconds per step, with the wait for its batch, and tokens that are not padding, of each timed execution."""
    seconds, tokens, count = [], [], execute.steps_per_execution
    for execution in range(WARM_UP_EXECUTIONS + number):
        start = time.perf_counter()
        metrics = execute(batches, count)
        if execution >= WARM_UP_EXECUTIONS:
            seconds.append((time.perf_counter() - start) / count)
            tokens.append(statistics.fmean(step.num_tokens for step in metrics))
            ceiling.time()
    return seconds, tokens
