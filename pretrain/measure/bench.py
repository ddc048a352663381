"""How fast a training step runs here, and how near that is to what the machine's matrix products allow."""

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

from pretrain.config import BenchConfig, PretrainConfig
from pretrain.measure.bench_models import MASK_ID, SPECIAL_IDS, made_up_rows, named_model
from pretrain.model.architecture import Architecture
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedBatch, Masker
from pretrain.train.batches import TrainingBatches
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import find_replicas
from pretrain.train.step import MlmStep
from pretrain.train.timing import WARM_UP_CALLS
from stackbert.core.errors import StackbertError, require
from tokenizer.encoding.packed_rows import load_rows

PRECISIONS = (tf.float32, tf.bfloat16)
LARGE = (4_096, 1_024, 1_024)  # a product that a small model's own cannot outdo
REPEATS = 5  # of each product; the best counts, as a ceiling should


@dataclass(frozen=True)
class BenchResult:
    """What a step takes."""

    devices: tuple[str, ...]
    """Those that share a step."""
    precision: str
    step_seconds: float
    """Median of the timed steps, batch preparation included."""
    tokens_per_second: float
    """Padding included."""
    padding_share: float
    text_bytes_per_second: float | None
    """UTF-8 bytes of text trained on; None for made-up rows."""
    step_flop: float
    """Floating point operations of the step's matrix products, forward and backward."""
    ceiling_flops: dict[str, float]
    """Operations a second of a device's best product, by precision; of a large one and the step's own."""

    @property
    def ceiling_share(self) -> float:
        """Rate of the step's products over the devices' ceiling in the same precision."""
        return self.step_flop / self.step_seconds / len(self.devices) / self.ceiling_flops[self.precision]

    def __str__(self) -> str:
        text = f"{self.text_bytes_per_second / 1e3:,.1f} kB of text/s, " if self.text_bytes_per_second else ""
        ceilings = ", ".join(f"{name} {flops / 1e9:,.0f}" for name, flops in self.ceiling_flops.items())
        more = f" and {len(self.devices) - 1} more" if len(self.devices) > 1 else ""
        return (
            f"{self.devices[0]}{more}, {self.precision}: {self.step_seconds * 1e3:,.0f} ms a step, "
            f"{self.tokens_per_second:,.0f} tokens/s, {text}padding {self.padding_share:.1%}\n"
            f"{self.step_flop / 1e9:,.0f} GFLOP of matrix products a step: {self.ceiling_share:.0%} of the machine's "
            f"ceiling (GFLOP/s of its best product: {ceilings})"
        )


def run_bench(config: BenchConfig, rows: Path | None = None) -> BenchResult:
    """Time the training step on packed rows ('tokenizer encode'), or on made-up full ones.

    The ceiling is measured between the steps, so that the share holds while the machine's speed drifts.
    """
    found = load_rows(rows, "train") if rows else None
    if found:
        config = replace(config, row_length=found.ids.shape[1])
    architecture, weights = named_model(config)
    packed = found or made_up_rows(config, architecture.vocab_size)
    if packed.ids.max() >= architecture.vocab_size:
        raise StackbertError(f"{rows}: ids up to {packed.ids.max()}, but the model has {architecture.vocab_size} rows")
    replicas = find_replicas(config.device)
    require(replicas.workers == 1, "the bench measures one machine: unset TF_CONFIG")
    replicas.check(config.batch_rows)
    dtype = choose_dtype(config.precision, replicas.compiles_accelerated)
    masker = Masker(architecture.vocab_size, SPECIAL_IDS, MASK_ID, config.mask_rate)
    training = PretrainConfig(batch_rows=config.batch_rows, mask_rate=config.mask_rate)
    total = (WARM_UP_CALLS + config.steps) * replicas.steps_per_execution(0)
    with replicas.scope():
        step = MlmStep(Encoder(architecture, weights, dtype), training, total, replicas=replicas)
    row_length = config.row_length
    places = config.batch_rows * masker.num_places(row_length)
    products = _Products(architecture, config.batch_rows, row_length, places, replicas.devices[0])
    batches = replicas.distributed(
        partial(TrainingBatches(packed, masker, config.batch_rows, seed=0).dataset, 0, total)
    )
    seconds, tokens = _timed_calls(step, batches, config, products)
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


class _Products:
    """The matrix products of a step, and the quickest rate at which the machine does any of them."""

    def __init__(self, architecture: Architecture, rows: int, row_length: int, places: int, device: str):
        a, tokens = architecture, rows * row_length
        body = [
            (tokens, a.hidden_dim, 3 * a.hidden_dim),
            (tokens, a.hidden_dim, a.hidden_dim),
            (tokens, a.hidden_dim, a.intermediate_dim),
            (tokens, a.intermediate_dim, a.hidden_dim),
        ]
        last = [(tokens, a.hidden_dim, 2 * a.hidden_dim), (places, a.hidden_dim, a.hidden_dim)]
        last += [(places, inner, outer) for _, inner, outer in body[1:]]
        head = [(places, a.hidden_dim, a.hidden_dim), (places, a.hidden_dim, a.vocab_size)]
        dense = (a.num_layers - 1) * sum(map(math.prod, body)) + sum(map(math.prod, [*last, *head]))
        queries = (a.num_layers - 1) * tokens + places
        multiplications = dense + 2 * queries * row_length * a.hidden_dim  # with keys, and their weights with values
        self.step_flop = 3.0 * 2 * multiplications  # the backward pass takes each product twice
        self.best = {dtype.name: 0.0 for dtype in PRECISIONS}
        self._shapes = itertools.cycle([LARGE, *body, *head])
        self._product = tf.function(tf.matmul)
        self._device = device

    def time(self) -> None:
        """Time the next of the shapes in each precision."""
        m, k, n = next(self._shapes)
        with tf.device(self._device):
            for dtype in PRECISIONS:
                operands = tf.ones((m, k), dtype), tf.ones((k, n), dtype)
                self._product(*operands)
                for _ in range(REPEATS):
                    start = time.perf_counter()
                    self._product(*operands)[0, 0].numpy()  # waits for it where the device works on its own
                    seconds = time.perf_counter() - start
                    self.best[dtype.name] = max(self.best[dtype.name], 2 * m * k * n / seconds)


def _timed_calls(
    step: MlmStep, batches: Iterator[MaskedBatch], config: BenchConfig, products: _Products
) -> tuple[list[float], list[float]]:
    """Of each timed call, seconds a step, which include waiting for its batch, and tokens that are not padding."""
    seconds, tokens, at_once = [], [], step.replicas.steps_per_execution(0)
    for call in range(WARM_UP_CALLS + config.steps):
        start = time.perf_counter()
        figures = step.take(batches, call * at_once, at_once)
        if call >= WARM_UP_CALLS:
            seconds.append((time.perf_counter() - start) / at_once)
            tokens.append(statistics.fmean(one.tokens for one in figures))
            products.time()
    return seconds, tokens
