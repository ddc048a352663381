"""Compares initialisations of a new vocabulary by their validation loss at step 0."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from pretrain.config import PretrainConfig, Transfer
from pretrain.init.initial_checkpoint import build_initial_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.objectives.masked_lm import MaskedLM, build_masker
from pretrain.train.batches import validation_batches
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import find_replicas
from pretrain.train.step import compile_evaluation
from tokenizer.encoding.packed_rows import check_tokenizer, load_rows
from tokenizer.encoding.reader import load_reader

METHODS: tuple[Transfer, ...] = get_args(Transfer)


@dataclass(frozen=True)
class StartResult:
    """Validation of the initial checkpoint that one method gives."""

    transfer: str
    loss: float
    """Mean over the masked positions, nats."""
    accuracy: float
    bits_per_byte: float
    notes: tuple[str, ...]
    """How the checkpoint was made."""


def compare_starts(rows: Path, tokenizer: Path, config: PretrainConfig) -> Iterator[StartResult]:
    """Yield the validation of `config.base` with each transfer method, on the same rows with the same masks.

    Raises StackbertError where `rows` were encoded with another tokenizer.
    """
    check_tokenizer(rows, tokenizer)
    reader, train_rows, validation_rows = (
        load_reader(tokenizer),
        load_rows(rows, "train"),
        load_rows(rows, "validation"),
    )
    collator = build_masker(reader, config).mask
    batches = validation_batches(validation_rows, collator, config.batch_rows, config.validation_rows)
    replicas = find_replicas(config.device)
    replicas.check("batch_rows", config.batch_rows)
    dtype = choose_dtype(config.precision, replicas.accelerated)
    encoder = None
    for transfer in METHODS:
        initial, notes = build_initial_checkpoint(replace(config, transfer=transfer), reader, train_rows)
        if encoder is None:
            with replicas.scope():
                encoder = Encoder(initial.architecture, initial.weights, dtype)
            sum_losses = compile_evaluation(MaskedLM(encoder), replicas, config.micro_batch_rows)
        encoder.assign(initial.weights)
        sums = np.sum([sum_losses(batch) for batch in batches], axis=0)
        loss, accuracy = (float(mean) for mean in sums[:-1] / sums[-1])
        bits = loss / math.log(2) * validation_rows.tokens_per_byte
        yield StartResult(transfer, loss, accuracy, bits, tuple(notes))


def format_comparison(results: list[StartResult]) -> str:
    """The notes of all methods, and an aligned table in which the fewest bits per byte are marked."""
    best = min(results, key=lambda result: result.bits_per_byte)
    lines = [*dict.fromkeys(note for result in results for note in result.notes)]
    lines += ["", f"{'transfer':<10}{'loss':>8}{'accuracy':>10}{'bits per byte':>15}"]
    for one in results:
        mark = "  best" if one is best and len(results) > 1 else ""
        lines.append(f"{one.transfer:<10}{one.loss:>8.3f}{one.accuracy:>10.3f}{one.bits_per_byte:>15.3f}{mark}")
    return "\n".join(lines)
