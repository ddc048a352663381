"""Compares initialisations of a new vocabulary by their validation loss at step 0."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from pretrain.config import PretrainConfig, Transfer
from pretrain.init.initial_checkpoint import build_initial_checkpoint, tokenizer_of_base
from pretrain.model.encoder import Encoder
from pretrain.objectives.builder import build_objective
from pretrain.objectives.masked_lm import MaskedLM, build_masker
from pretrain.objectives.objective import Collator, Objective
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import find_replicas
from pretrain.train.validation import Validation
from stackbert.core.checkpoints import is_random
from tokenizer.encoding.packed_rows import PackedRows, check_tokenizer, load_rows, tokenizer_of_rows
from tokenizer.encoding.reader import TextReader, load_reader

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
    text_distance: float | None = None
    """Mean distance of its text vectors from the base's of the same texts: 1 - cosine, summed over the mean of the
    tokens and the first token, from 0 to 4. None for a random base."""


def compare_starts(rows: Path, tokenizer: Path, config: PretrainConfig) -> Iterator[StartResult]:
    """Yield the validation of `config.base` with each transfer method, on the same rows with the same masks.

    Raises StackbertError where `rows` were encoded with another tokenizer.
    """
    check_tokenizer(rows, tokenizer)
    is_new_vocabulary = tokenizer_of_rows(rows) != tokenizer_of_base(config.base)
    reader, train_rows, validation_rows = (
        load_reader(tokenizer),
        load_rows(rows, "train"),
        load_rows(rows, "validation"),
    )
    replicas = find_replicas(config.device)
    replicas.check("batch_rows", config.batch_rows)
    dtype = choose_dtype(config.precision, replicas.accelerated)
    validations: list[Validation] = []
    for transfer in METHODS:
        initial, notes = build_initial_checkpoint(replace(config, transfer=transfer), reader, train_rows, dtype)
        if not validations:
            with replicas.scope():
                encoder = Encoder(initial.architecture, initial.weights, dtype)
                objectives = _objectives(config, encoder, reader, train_rows, is_new_vocabulary)
            validations = [Validation(each, validation_rows, make, config, replicas) for each, make in objectives]
        encoder.assign(initial.weights)
        found, *others = (validation.run() for validation in validations)
        distance = others[0]["distill_loss"] if others else None
        yield StartResult(transfer, found["loss"], found["accuracy"], found["bits_per_byte"], tuple(notes), distance)


def _objectives(
    config: PretrainConfig, encoder: Encoder, reader: TextReader, rows: PackedRows, is_new_vocabulary: bool
) -> list[tuple[Objective, Collator]]:
    """Masked language modelling; and, for a base with weights, the distance of its vectors of unmasked texts."""
    masked = (MaskedLM(encoder), build_masker(reader, config).mask)
    if is_random(config.base):
        return [masked]
    unmasked = replace(config, objective="masked_lm", distill_weight=1.0, mask_share=0.0, random_share=0.0)
    built = build_objective(unmasked, encoder, reader, rows, is_new_vocabulary)
    return [masked, (built.objective, built.validation_collator or built.collator)]


def format_comparison(results: list[StartResult]) -> str:
    """The notes of all methods, and an aligned table in which the fewest bits per byte are marked."""
    best = min(results, key=lambda result: result.bits_per_byte)
    lines = [*dict.fromkeys(note for result in results for note in result.notes)]
    has_distance = best.text_distance is not None
    title = f"{'transfer':<10}{'loss':>8}{'accuracy':>10}{'bits per byte':>15}"
    lines += ["", title + f"{'text distance':>15}" * has_distance]
    for one in results:
        mark = "  best" if one is best and len(results) > 1 else ""
        distance = "" if one.text_distance is None else f"{one.text_distance:>15.4f}"
        lines.append(
            f"{one.transfer:<10}{one.loss:>8.3f}{one.accuracy:>10.3f}{one.bits_per_byte:>15.3f}{distance}{mark}"
        )
    return "\n".join(lines)
