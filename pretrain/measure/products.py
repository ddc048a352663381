"""The matrix products of a training step, and the highest rate at which this machine computes any of them."""

# M rows of the first factor, K inner, N columns of the second

import itertools
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import tensorflow as tf

from pretrain.model.architecture import Architecture

Shape = tuple[int, int, int]
"""M, K, N."""
PRECISIONS = (tf.float32, tf.bfloat16)
LARGE: Shape = (4_096, 1_024, 1_024)  # a product that runs at a higher rate than a small model's own
REPEATS = 5  # of each product; the fastest counts, since a ceiling is wanted
PYTORCH = """
import json, sys, time
import torch

best = {}
with torch.inference_mode():
    for name in json.loads(sys.argv[2]):
        for m, k, n in json.loads(sys.argv[1]):
            a, b = (torch.ones(shape, dtype=getattr(torch, name)) for shape in ((m, k), (k, n)))
            a @ b
            for _ in range(int(sys.argv[3])):
                start = time.perf_counter()
                a @ b
                best[name] = max(best.get(name, 0.0), 2 * m * k * n / (time.perf_counter() - start))
print(json.dumps(best))
"""


class StepProducts:
    """Shapes of a step's products in the forward pass; the backward pass has two for each, of as many operations.

    The last layer computes queries and what follows them at `masked` positions only.
    """

    def __init__(self, architecture: Architecture, rows: int, row_length: int, masked: int) -> None:
        a, tokens = architecture, rows * row_length
        body: list[Shape] = [
            (tokens, a.hidden_dim, 3 * a.hidden_dim),
            (tokens, a.hidden_dim, a.hidden_dim),
            (tokens, a.hidden_dim, a.inner_dim),
            (tokens, a.intermediate_dim, a.hidden_dim),
        ]
        last: list[Shape] = [(tokens, a.hidden_dim, 2 * a.hidden_dim), (masked, a.hidden_dim, a.hidden_dim)]
        last += [(masked, inner, outer) for _, inner, outer in body[1:]]
        self.layers = (a.num_layers - 1) * body + last
        self.head: list[Shape] = [(masked, a.hidden_dim, a.hidden_dim), (masked, a.hidden_dim, a.vocab_size)]
        windows = [layer.window for layer in a.rotary_layers] or [0] * a.num_layers
        keys = [min(2 * window + 1, row_length) if window else row_length for window in windows]
        pairs = tokens * sum(keys[:-1]) + masked * keys[-1]
        self.attention_flop = training_flop(2 * pairs * a.hidden_dim)  # queries by keys, and weights by values
        self.flop = self.attention_flop + training_flop(sum(map(math.prod, [*self.layers, *self.head])))
        self.timed = [LARGE, *body, *self.head]
        """Shapes of which the ceiling is the fastest."""


class Ceiling:
    """The highest rate of any of a step's products, in each precision; its shapes are timed one at a time, in turn."""

    def __init__(self, products: StepProducts, device: str) -> None:
        self.best = {dtype.name: 0.0 for dtype in PRECISIONS}
        """Floating-point operations per second."""
        self._shapes = itertools.cycle(products.timed)
        self._multiply = tf.function(tf.matmul)
        self._device = device

    def time(self) -> None:
        """Time the next shape."""
        with tf.device(self._device):
            for name, flops in _rates(self._multiply, [next(self._shapes)]).items():
                self.best[name] = max(self.best[name], flops)


def rates_by_library(products: StepProducts) -> dict[str, dict[str, float]]:
    """The highest rate of any of a step's products by each library that is installed and multiplies on the CPU.

    Floating-point operations per second, by library and precision. PyTorch runs in a process of its own.
    """
    rates = {
        "TensorFlow": _rates(tf.function(tf.matmul), products.timed),
        "XLA": _rates(tf.function(tf.matmul, jit_compile=True, autograph=False), products.timed),
    }
    if find_spec("torch"):
        asked = json.dumps(products.timed), json.dumps([dtype.name for dtype in PRECISIONS]), str(REPEATS)
        command = [sys.executable, "-c", PYTORCH, *asked]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        rates["PyTorch"] = json.loads(done.stdout)
    return rates


def training_flop(multiplications: int) -> float:
    """Floating-point operations of a forward and a backward pass from the multiplications of the forward one."""
    return 3.0 * 2 * multiplications


def _rates(multiply: Callable[..., Any], shapes: list[Shape]) -> dict[str, float]:
    """Operations per second of the fastest of some products by a compiled function, by precision."""
    best = {dtype.name: 0.0 for dtype in PRECISIONS}
    for (m, k, n), dtype in itertools.product(shapes, PRECISIONS):
        operands = tf.ones((m, k), dtype), tf.ones((k, n), dtype)
        multiply(*operands)
        for _ in range(REPEATS):
            start = time.perf_counter()
            multiply(*operands)[0, 0].numpy()  # waits for devices that compute asynchronously
            best[dtype.name] = max(best[dtype.name], 2 * m * k * n / (time.perf_counter() - start))
    return best
