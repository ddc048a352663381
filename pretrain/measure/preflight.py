"""Compiles the training step for a TPU slice without the TPU: memory, and a roofline of its speed."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pretrain.measure import tpu_compiler
from pretrain.measure.bench_models import Model, named_model
from pretrain.measure.config import PreflightConfig
from pretrain.measure.step_program import step_program
from pretrain.train.step import num_micro_batches
from stackbert.core.errors import StackbertError, require

GIB = 2**30
OUT_OF_MEMORY = re.compile(r"(?:Used |required for \w+ \w+ \()([\d.]+[KMGT]?)\b")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
ROWS_PER_TILE = 8  # of a TPU's memory layout; the largest batch is a multiple of it


@dataclass(frozen=True)
class Chip:
    """Datasheet of one chip of a TPU generation (cloud.google.com/tpu/docs/system-architecture-tpu-vm)."""

    bfloat16_flops: float
    memory: int
    memory_bandwidth: float
    """Bytes per second."""
    link_bandwidth: float
    """Bytes per second to the other chips of the slice, over all links."""


CHIPS = {
    "v4": Chip(275e12, 32 * GIB, 1_228e9, 300e9),
    "v5e": Chip(197e12, 16 * GIB, 819e9, 200e9),
    "v5p": Chip(459e12, 95 * GIB, 2_765e9, 600e9),
    "v6e": Chip(918e12, 32 * GIB, 1_640e9, 448e9),
}


@dataclass(frozen=True)
class Preflight:
    """Memory and operations of the compiled step on one chip of a slice."""

    topology: str
    chips: int
    batch_rows: int
    row_length: int
    weights: int
    """Parameters."""
    memory: int
    """Bytes of arguments, results, temporaries and code; the compiler's estimate where the step does not fit."""
    fits: bool
    flops: float
    """Floating-point operations per step and chip; 0 where it does not fit."""
    bytes_accessed: float
    compile_seconds: float

    @property
    def chip(self) -> Chip:
        return chip_of(self.topology)

    @property
    def exchange_seconds(self) -> float:
        """Ring all-reduce of float32 gradients: each chip sends and receives nearly all of them twice."""
        return 2 * 4 * self.weights * (self.chips - 1) / self.chips / self.chip.link_bandwidth

    @property
    def step_seconds(self) -> float:
        """Roofline: the longer of arithmetic and memory traffic at the datasheet's rates, plus the all-reduce."""
        arithmetic = self.flops / self.chip.bfloat16_flops
        return max(arithmetic, self.bytes_accessed / self.chip.memory_bandwidth) + self.exchange_seconds

    @property
    def tokens_per_second(self) -> float:
        """Of the slice at the roofline, an upper bound."""
        return self.batch_rows * self.row_length / self.step_seconds

    def __str__(self) -> str:
        head = f"{self.topology}: {self.chips} chips, {self.batch_rows:,} rows of {self.row_length} per step"
        memory = f"{self.memory / GIB:,.2f} of {self.chip.memory / GIB:,.0f} GiB per chip"
        if not self.fits:
            return f"{head}\ndoes not fit: needs {memory}; make the batch smaller, or cut it into micro-batches"
        bound = "arithmetic" if self.flops / self.chip.bfloat16_flops > self._traffic_seconds else "memory traffic"
        return (
            f"{head}\nfits: needs {memory}\n"
            f"{self.flops / 1e9:,.0f} GFLOP and {self.bytes_accessed / 1e9:,.2f} GB of memory traffic per chip, "
            f"compiled in {self.compile_seconds:.0f} s\n"
            f"roofline: {self.step_seconds * 1e3:,.2f} ms per step, {self.tokens_per_second:,.0f} tokens/s over all "
            f"chips, bound by {bound}, with {self.exchange_seconds * 1e3:,.2f} ms of gradient all-reduce"
        )

    @property
    def _traffic_seconds(self) -> float:
        return self.bytes_accessed / self.chip.memory_bandwidth


def preflight(config: PreflightConfig, model: Model | None = None) -> Preflight:
    """Compile the training step of `model`, by default the one that `config` names, for `config.topology`.

    Raises StackbertError where the topology is unknown, the compiler is missing, or a TPU does not support the step.
    """
    check_slice(config.topology, config.batch_rows)
    check_compiler(config.compiler_python)
    rows = config.batch_rows // chip_count(config.topology)
    count = num_micro_batches(rows, config.micro_batch_rows)  # the compiler counts the loop's body once
    program, weights = step_program(config, rows, model or named_model(config), chip_count(config.topology))
    return compile_program(program, weights, config, count)


def compile_program(program: str, weights: int, config: PreflightConfig, count: int = 1) -> Preflight:
    """Compile a step's StableHLO for `config.topology`.

    `weights` is the number of parameters whose gradients the chips exchange, `count` how often the step repeats what
    the program has once. Raises StackbertError where a TPU does not support the step.
    """
    found = _compile(program, config)
    memory, fits = _memory(found, chip_of(config.topology))
    return Preflight(
        config.topology,
        int(found["chips"]),
        config.batch_rows,
        config.row_length,
        weights,
        memory,
        fits,
        count * found.get("flops", 0.0),
        count * found.get("bytes_accessed", 0.0),
        found.get("seconds", 0.0),
    )


def largest_batch(
    config: PreflightConfig, first: Preflight, check: Callable[[PreflightConfig], Preflight] = preflight
) -> Preflight:
    """The largest batch that fits, to within 5 %, a multiple of 8 rows per chip.

    Each `check` compiles for a minute or two. Memory grows almost linearly with the rows, so the next size is
    interpolated between the two sizes around it. Raises StackbertError where not even 8 rows per chip fit.
    """
    unit, limit = ROWS_PER_TILE * first.chips, first.chip.memory
    low = check(replace(config, batch_rows=unit))
    if not low.fits:
        raise StackbertError(
            f"{config.topology}: not even {unit} rows fit: they need {low.memory / GIB:,.1f} GiB per chip"
        )
    high = check(replace(config, batch_rows=8 * unit))
    while high.fits:
        slope = max((high.memory - low.memory) / (high.batch_rows - low.batch_rows), 1.0)
        beyond = high.batch_rows + 1.1 * (limit - high.memory) / slope
        low, high = high, check(replace(config, batch_rows=(int(beyond / unit) + 1) * unit))
    while high.batch_rows - low.batch_rows > max(unit, low.batch_rows / 20):
        share = (limit - low.memory) / max(high.memory - low.memory, 1)
        units = round((low.batch_rows + min(max(share, 0.1), 0.9) * (high.batch_rows - low.batch_rows)) / unit)
        units = min(max(units, low.batch_rows // unit + 1), high.batch_rows // unit - 1)
        middle = check(replace(config, batch_rows=units * unit))
        low, high = (middle, high) if middle.fits else (low, middle)
    return low


def check_slice(topology: str, batch_size: int, setting: str = "batch_rows") -> None:
    """Raise StackbertError where the topology is unknown or its chips cannot share the batch equally."""
    chip_of(topology)
    chips = chip_count(topology)
    require(batch_size % chips == 0, f"{setting} {batch_size}: must be a multiple of the {chips} chips of {topology}")


def check_compiler(compiler_python: str) -> None:
    """Raise StackbertError where that Python, by default this one, has no TPU compiler."""
    python = compiler_python or sys.executable
    try:
        command = [python, "-c", "import jax, libtpu; print(jax.__name__)"]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    except OSError as error:
        raise StackbertError(f"compiler_python {python}: cannot be started: {error.strerror}") from None
    if done.returncode or done.stdout.strip() != b"jax":  # another program may ignore the arguments
        raise StackbertError(
            f"{python} has no TPU compiler: create an environment with one (python3.11 -m venv tpu; tpu/bin/pip "
            "install jax libtpu) and pass its Python with --compiler-python"
        )


def chip_of(topology: str) -> Chip:
    """The chip of a slice such as v5e:2x4."""
    generation = topology.partition(":")[0]
    if generation not in CHIPS or not re.fullmatch(r"\w+:\d+(x\d+){1,2}", topology):
        raise StackbertError(
            f"topology '{topology}': must be a generation ({', '.join(CHIPS)}) and a shape, such as v5e:2x4"
        )
    return CHIPS[generation]


def chip_count(topology: str) -> int:
    """Chips of a slice.

    >>> chip_count("v5e:2x4")
    8
    """
    count = 1
    for extent in topology.partition(":")[2].split("x"):
        count *= int(extent)
    return count


def _compile(program: str, config: PreflightConfig) -> dict[str, Any]:
    python = config.compiler_python or sys.executable
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.mlir"
        path.write_text(program, "utf-8")
        command = [python, tpu_compiler.__file__, str(path), config.topology, tpu_compiler.WATCHING]
        reading, writing = os.pipe()  # closed by the system if this process is killed
        try:
            # a process of its own, since the compiler never releases the TPU library
            done = subprocess.run(command, stdin=reading, capture_output=True, text=True, check=False)  # noqa: S603
        finally:
            os.close(reading)
            os.close(writing)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StackbertError(f"{config.topology}: the TPU compiler failed: {last[:500]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _memory(found: dict[str, Any], chip: Chip) -> tuple[int, bool]:
    """Bytes that the step needs on a chip, and whether they fit."""
    if "error" in found:
        used = OUT_OF_MEMORY.search(found["error"])
        if not used:
            raise StackbertError(f"the TPU compiler rejected the step: {found['error'][:500]}")
        return _bytes(used[1]), False
    memory = sum(found[kind] for kind in ("arguments", "outputs", "temporaries", "code")) - found["aliased"]
    return memory, memory <= chip.memory


def _bytes(text: str) -> int:
    """
    >>> _bytes("1.5K")
    1536
    """
    unit = text[-1] if text[-1] in UNITS else ""
    return int(float(text.removesuffix(unit)) * UNITS[unit])
