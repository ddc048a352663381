"""The checkpoint at step 0: the base with the rows' vocabulary, enough positions and an MLM head."""

from pathlib import Path

import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.init.head_bias import with_calibrated_bias, with_unigram_bias
from pretrain.init.similarity import token_vectors
from pretrain.init.token_distillation import distill_new_tokens
from pretrain.init.transfer import check_vocabulary, transfer_vocabulary
from pretrain.model.architecture import random_config, read_architecture
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, random_weights, with_positions
from stackbert.core.checkpoints import RANDOM_PREFIX, is_random, resolve_base
from stackbert.core.errors import require
from tokenizer.encoding.packed_rows import PackedRows, identify_tokenizer
from tokenizer.encoding.reader import TextReader, load_reader

INITIALISED_FROM = {
    "mean": "the mean of their subtokens in the base",
    "random": "noise",
    "similar": "a mean of the shared tokens most similar in use",
    "distill": "the mean of their subtokens in the base, fitted to how the base reads them",
}


def build_initial_checkpoint(
    config: PretrainConfig,
    reader: TextReader,
    rows: PackedRows,
    dtype: tf.DType = tf.float32,
    scratch: Path | None = None,
) -> tuple[Checkpoint, list[str]]:
    """The checkpoint at step 0 for rows in `reader`'s vocabulary, and notes on how it was made.

    Transfer by distillation computes in `dtype`; what takes long is kept in the folder `scratch`.
    """
    if is_random(config.base):
        checkpoint, note = _random_checkpoint(config, reader)
    else:
        checkpoint, note = _transferred_checkpoint(config, reader, rows)
    notes = [*(f"base: {each}" for each in checkpoint.notes), note]
    check_vocabulary(checkpoint, reader)
    row_length, max_length = rows.ids.shape[1], checkpoint.architecture.max_length
    if row_length > max_length:
        require(
            config.extend_positions,
            f"rows of {row_length} tokens, but the base reads {max_length} at most; encode with a smaller row_length, "
            "or set extend_positions",
        )
        start = (
            "are further rotations" if checkpoint.architecture.rotary_layers else "start from copies of the first ones"
        )
        notes.append(f"positions from {max_length} on {start}")
        checkpoint = with_positions(checkpoint, row_length)
    if config.transfer == "distill" and not is_random(config.base):
        checkpoint, fit_notes = distill_new_tokens(checkpoint, config, reader, rows, dtype, scratch)
        notes += fit_notes
    if not checkpoint.has_mlm_head:
        notes.append("the base has no MLM head: a new one was initialised")
        checkpoint = with_unigram_bias(checkpoint, reader, rows)
        if config.head_bias == "calibrated":
            checkpoint = with_calibrated_bias(checkpoint, reader, rows, config.seed)
            notes.append("its bias is such that the mean prediction has the frequencies of tokens")
    return checkpoint, notes


def tokenizer_of_base(base: str) -> str | None:
    """Identity of a base's own tokenizer; None for random weights, which have none."""
    return None if is_random(base) else identify_tokenizer(resolve_base(base))


def _random_checkpoint(config: PretrainConfig, reader: TextReader) -> tuple[Checkpoint, str]:
    size = config.base.removeprefix(RANDOM_PREFIX)
    fields = random_config(size, reader.vocab_size) | {"pad_token_id": reader.padding_id}
    architecture = read_architecture(fields, config.base)
    weights = random_weights(architecture, config.seed)
    note = f"{config.base}: random weights, seed {config.seed}"
    return Checkpoint(architecture, fields, weights, has_mlm_head=False), note


def _transferred_checkpoint(config: PretrainConfig, reader: TextReader, rows: PackedRows) -> tuple[Checkpoint, str]:
    folder = resolve_base(config.base)
    vectors_VD = None
    if config.transfer == "similar":
        vectors_VD = token_vectors(rows, reader.vocab_size, reader.special_ids, config.seed)
    checkpoint, counts = transfer_vocabulary(
        load_checkpoint(folder), load_reader(folder), reader, config.transfer, config.seed, vectors_VD
    )
    return checkpoint, (
        f"vocabulary of {reader.vocab_size:,}: {counts.shared:,} tokens keep the base's vector, {counts.built:,} start "
        f"from {INITIALISED_FROM[config.transfer]}, {counts.unknown:,} unknown to the base start from noise"
    )
