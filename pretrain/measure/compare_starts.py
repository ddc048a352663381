"""How good a start each initialiser of a new vocabulary gives: the held-out loss before the first step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from pretrain.config import PretrainConfig, Transfer
from pretrain.init.initial_checkpoint import starting_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import masker_of
from pretrain.run import check_tokenizer
from pretrain.train.batches import held_out_batches
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import find_replicas
from pretrain.train.step import MlmStep
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import load_reader

INITIALISERS: tuple[Transfer, ...] = get_args(Transfer)


@dataclass(frozen=True)
class Start:
    """A base carried over to a vocabulary in one way, before any training."""

    transfer: str
    loss: float
    """Mean over the held-out positions to guess, nats."""
    accuracy: float
    bits_per_byte: float
    notes: tuple[str, ...]


def measure_starts(rows: Path, tokenizer: Path, config: PretrainConfig) -> Iterator[Start]:
    """Yield the start that each initialiser gives `config.base`, on the same held-out rows and masks.

    Raises StackbertError where `rows` were encoded with another tokenizer.
    """
    check_tokenizer(rows, tokenizer)
    reader, train, held_out = load_reader(tokenizer), load_rows(rows, "train"), load_rows(rows, "validation")
    masker = masker_of(reader, config)
    batches = held_out_batches(held_out, masker, config.batch_rows, config.validation_rows)
    replicas = find_replicas(config.device)
    replicas.check(config.batch_rows)
    dtype = choose_dtype(config.precision, replicas.compiles_accelerated)
    step = None
    for transfer in INITIALISERS:
        start, notes = starting_checkpoint(replace(config, transfer=transfer), reader, train)
        if step is None:
            with replicas.scope():
                step = MlmStep(Encoder(start.architecture, start.weights, dtype), config, 1, replicas=replicas)
        step.encoder.assign(start.weights)
        sums = np.sum([step.evaluate(batch) for batch in batches], axis=0)
        loss = float(sums[0] / sums[-1])
        bits = loss / math.log(2) * held_out.tokens_per_byte
        yield Start(transfer, loss, float(sums[1] / sums[-1]), bits, tuple(notes))


def starts_table(starts: list[Start]) -> str:
    """The starts as an aligned table, the best by bits a byte marked."""
    best = min(starts, key=lambda start: start.bits_per_byte)
    lines = [f"{'start':<10}{'loss':>8}{'accuracy':>10}{'bits a byte':>13}"]
    for start in starts:
        mark = "  best" if start is best and len(starts) > 1 else ""
        lines.append(f"{start.transfer:<10}{start.loss:>8.3f}{start.accuracy:>10.3f}{start.bits_per_byte:>13.3f}{mark}")
    return "\n".join(lines)
