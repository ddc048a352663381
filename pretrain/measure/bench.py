"""Speed of a training step on this machine, and its share of the machine's matrix-product ceiling."""

# B rows, T tokens

import itertools
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.measure.bench_models import MASK_ID, SPECIAL_IDS, named_model, random_rows
from pretrain.measure.config import BenchConfig
from pretrain.model.architecture import Architecture
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedLM, Masker
from pretrain.objectives.objective import Batch
from pretrain.train.batches import TrainingBatches
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import find_replicas
from pretrain.train.step import CompiledStep, TrainStep, compile_step
from pretrain.train.timing import SCHEDULE_STEPS, WARM_UP_EXECUTIONS
from stackbert.core.errors import require
from tokenizer.encoding.packed_rows import PackedRows, load_rows

PRECISIONS = (tf.float32, tf.bfloat16)
LARGE = (4_096, 1_024, 1_024)  # a product that runs at a higher rate than a small model's own
REPEATS = 5  # of each product; the fastest counts, since a ceiling is wanted


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

    @property
    def ceiling_share(self) -> float:
        """Operations per second of a step, as a share of the devices' ceiling in the same precision."""
        return self.step_flop / self.step_seconds / len(self.devices) / self.ceiling_flops[self.precision]

    def __str__(self) -> str:
        text = f"{self.text_bytes_per_second / 1e3:,.1f} kB of text/s, " if self.text_bytes_per_second else ""
        ceilings = ", ".join(f"{name} {flops / 1e9:,.0f}" for name, flops in self.ceiling_flops.items())
        more = f" and {len(self.devices) - 1} more" if len(self.devices) > 1 else ""
        return (
            f"{self.devices[0]}{more}, {self.precision}: {self.step_seconds * 1e3:,.0f} ms per step, "
            f"{self.tokens_per_second:,.0f} tokens/s, {text}padding {self.padding_share:.1%}\n"
            f"{self.step_flop / 1e9:,.0f} GFLOP of matrix products per step: {self.ceiling_share:.0%} of the machine's "
            f"ceiling (GFLOP/s of its fastest product: {ceilings})"
        )


def run_bench(config: BenchConfig, rows: Path | None = None) -> BenchResult:
    """Time the training step on packed rows ('tokenizer encode'), or on random rows without padding.

    The ceiling is measured between the steps, so that a drift of the machine's speed affects both alike.
    """
    packed = load_rows(rows, "train") if rows else None
    if packed:
        config = replace(config, row_length=packed.ids.shape[1])
    architecture, weights = named_model(config)
    packed = packed or random_rows(config, architecture.vocab_size)
    _check_vocabulary(packed, architecture.vocab_size)
    replicas = find_replicas(config.device)
    require(replicas.workers == 1, "pretrain bench measures one machine: unset TF_CONFIG")
    replicas.check("batch_rows", config.batch_rows)
    dtype = choose_dtype(config.precision, replicas.accelerated)
    masker = Masker(architecture.vocab_size, SPECIAL_IDS, MASK_ID, config.mask_rate)
    with replicas.scope():
        encoder = Encoder(architecture, weights, dtype)
        variables = list(encoder.weights.values())
        step = TrainStep(MaskedLM(encoder), variables, SCHEDULE_STEPS, PretrainConfig(), replicas)
    execute = compile_step(step, replicas)
    num_steps = (WARM_UP_EXECUTIONS + config.steps) * execute.steps_per_execution
    batches = TrainingBatches(packed, masker.mask, config.batch_rows, seed=0)
    row_length, num_slots = config.row_length, config.batch_rows * masker.num_slots(config.row_length)
    products = _Products(architecture, config.batch_rows, row_length, num_slots, replicas.devices[0])
    stream = replicas.distribute(partial(batches.dataset, 0, num_steps))
    seconds, tokens = _time_executions(execute, stream, config.steps, products)
    median = statistics.median(seconds)
    text_bytes = packed.text_bytes / len(packed.ids) * config.batch_rows / median if rows else None
    return BenchResult(
        devices=replicas.devices,
        precision=dtype.name,
        step_seconds=median,
        tokens_per_second=config.batch_rows * row_length / median,
        padding_share=1 - statistics.fmean(tokens) / config.batch_rows / row_length,
        text_bytes_per_second=text_bytes,
        step_flop=products.step_flop,
        ceiling_flops=products.best,
    )


def _check_vocabulary(rows: PackedRows, vocab_size: int) -> None:
    require(
        rows.ids.max() < vocab_size,
        f"the rows have ids up to {rows.ids.max()}, but the model's vocabulary has {vocab_size}; set vocab_size, or a "
        "model with the rows' vocabulary",
    )


class _Products:
    """The matrix products of a step, and the highest rate at which the machine computes any of them."""

    def __init__(self, architecture: Architecture, rows: int, row_length: int, masked: int, device: str) -> None:
        a, tokens = architecture, rows * row_length
        body = [
            (tokens, a.hidden_dim, 3 * a.hidden_dim),
            (tokens, a.hidden_dim, a.hidden_dim),
            (tokens, a.hidden_dim, a.inner_dim),
            (tokens, a.intermediate_dim, a.hidden_dim),
        ]
        last = [(tokens, a.hidden_dim, 2 * a.hidden_dim), (masked, a.hidden_dim, a.hidden_dim)]
        last += [(masked, inner, outer) for _, inner, outer in body[1:]]
        head = [(masked, a.hidden_dim, a.hidden_dim), (masked, a.hidden_dim, a.vocab_size)]
        dense = (a.num_layers - 1) * sum(map(math.prod, body)) + sum(map(math.prod, [*last, *head]))
        windows = [layer.window for layer in a.rotary_layers] or [0] * a.num_layers
        keys = [min(2 * window + 1, row_length) if window else row_length for window in windows]
        pairs = tokens * sum(keys[:-1]) + masked * keys[-1]
        multiplications = dense + 2 * pairs * a.hidden_dim  # queries with keys, and attention weights with values
        self.step_flop = 3.0 * 2 * multiplications  # the backward pass has two products for each
        self.best = {dtype.name: 0.0 for dtype in PRECISIONS}
        self._shapes = itertools.cycle([LARGE, *body, *head])
        self._product = tf.function(tf.matmul)
        self._device = device

    def time(self) -> None:
        """Time the next shape in each precision."""
        m, k, n = next(self._shapes)
        with tf.device(self._device):
            for dtype in PRECISIONS:
                operands = tf.ones((m, k), dtype), tf.ones((k, n), dtype)
                self._product(*operands)
                for _ in range(REPEATS):
                    start = time.perf_counter()
                    self._product(*operands)[0, 0].numpy()  # waits for devices that compute asynchronously
                    seconds = time.perf_counter() - start
                    self.best[dtype.name] = max(self.best[dtype.name], 2 * m * k * n / seconds)


def _time_executions(
    execute: CompiledStep, batches: Iterator[Batch], number: int, products: _Products
) -> tuple[list[float], list[float]]:
    """Seconds per step, with the wait for its batch, and tokens that are not padding, of each timed execution."""
    seconds, tokens, count = [], [], execute.steps_per_execution
    for execution in range(WARM_UP_EXECUTIONS + number):
        start = time.perf_counter()
        metrics = execute(batches, count)
        if execution >= WARM_UP_EXECUTIONS:
            seconds.append((time.perf_counter() - start) / count)
            tokens.append(statistics.fmean(step.num_tokens for step in metrics))
            products.time()
    return seconds, tokens
