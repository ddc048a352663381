"""Tokens a second of a training step, ours and other implementations', in turn on one machine.

    python -m tests.pretrain.peers --keras K/bin/python --torch T/bin/python --transformers F/bin/python

Each Python is one that the peer's script asks for (../shared/bench/README.md); a peer without one is left out. The
model is the scripts' own: 6 layers, 384 wide, a vocabulary of 30,522. Every run is a process of its own, round after
round, so that a drift of the machine meets all of them.
"""

import re
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import tyro

BENCH = Path(__file__).parents[3] / "shared" / "bench"
STEPS = 10
OURS = {"fp32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Comparison:
    """What to run."""

    keras: str = ""
    """Python with tensorflow-cpu and keras-hub."""
    torch: str = ""
    """Python with torch and transformers."""
    transformers: str = ""
    """Python with tensorflow-cpu, tf-keras and a transformers that still has TensorFlow models."""
    row_lengths: tuple[int, ...] = (128,)
    batch_rows: int = 32
    precisions: tuple[str, ...] = ("fp32", "bf16")
    """Of the peers; bf16 takes them long where the processor has none."""
    modes: tuple[str, ...] = ("graph", "jit")
    """How TensorFlow's peers run a step."""
    rounds: int = 3


def commands(asked: Comparison, length: int) -> dict[str, list[str]]:
    """Name -> command that prints its rate."""
    size = [str(asked.batch_rows), str(length)]
    ours = [sys.executable, "-m", "stackbert", "pretrain", "bench", "--row-length", str(length), "--steps", str(STEPS)]
    found = {
        f"stackbert {precision}": [*ours, "--batch-rows", size[0], "--precision", precision]
        for precision in (OURS[each] for each in asked.precisions)
    }
    for precision in asked.precisions:
        for mode in asked.modes:
            if asked.keras:
                script = [asked.keras, str(BENCH / "keras_hub_mlm.py")]
                found[f"keras-hub {precision} {mode}"] = [*script, precision, *size, mode]
            if asked.transformers:
                script = [asked.transformers, str(BENCH / "transformers_tf_mlm.py")]
                found[f"transformers TF {precision} {mode}"] = [*script, precision, *size, mode]
        if asked.torch:
            script = [asked.torch, str(BENCH / "torch_mlm.py")]
            found[f"PyTorch {precision}"] = [*script, precision, *size, str(STEPS)]
    return found


def rate_of(command: list[str]) -> tuple[float, str]:
    """Tokens a second that a command printed, and its share of the machine's ceiling where it says so."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"([\d,]+) tok(?:ens)?/s", done.stdout)
    if not found:
        return 0.0, (done.stderr.strip().splitlines() or ["nothing printed"])[-1][:80]
    share = re.search(r"(\d+)% of the machine's", done.stdout)
    return float(found[1].replace(",", "")), f"{share[1]} % of the ceiling" if share else ""


def main(asked: Comparison) -> None:
    """Run everything and print medians, and how many times each peer's rate our best is."""
    if not BENCH.is_dir():
        sys.exit(f"{BENCH}: the peers' scripts are not there")
    for length in asked.row_lengths:
        rates, notes = defaultdict(list), {}
        for number in range(asked.rounds):
            for name, command in commands(asked, length).items():
                rate, notes[name] = rate_of(command)
                rates[name].append(rate)
                print(f"round {number + 1}, rows of {length}: {name} {rate:,.0f}", file=sys.stderr, flush=True)
        medians = {name: statistics.median(each) for name, each in rates.items()}
        best = max(rate for name, rate in medians.items() if name.startswith("stackbert"))
        print(f"\n{asked.batch_rows} rows of {length}, medians of {asked.rounds} rounds, tokens/s")
        for name, rate in sorted(medians.items(), key=lambda item: -item[1]):
            ratio = f"{best / rate:.2f}x" if rate else "failed"
            print(f"{name:<32}{rate:>10,.0f}{ratio:>10}  {notes[name]}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Comparison))
