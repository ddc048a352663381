"""The checkpoint that a run starts from: a base carried over to the vocabulary, with an MLM head."""

# V vocabulary, D width of a token's vector of use

from dataclasses import replace

import numpy as np

from pretrain.config import PretrainConfig
from pretrain.init.similarity import token_vectors
from pretrain.init.transfer import check_vocabulary, transfer_vocabulary
from pretrain.model.architecture import random_config, read_architecture
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, random_weights, with_positions
from stackbert.core.checkpoints import RANDOM_PREFIX, is_random, resolve_base
from stackbert.core.errors import require
from tokenizer.encoding.packed_rows import PackedRows, identify_tokenizer
from tokenizer.encoding.reader import TextReader, load_reader

STARTS = {
    "mean": "the mean of their old pieces",
    "random": "noise",
    "similar": "a mean of the shared tokens used most like them",
}


def starting_checkpoint(config: PretrainConfig, new: TextReader, rows: PackedRows) -> tuple[Checkpoint, list[str]]:
    """The checkpoint at step 0, and notes on how it came about.

    A missing MLM head is made; its bias starts at the log frequency of each token in `rows`, so that the first steps
    need not learn which tokens are common.
    """
    if is_random(config.base):
        fields = random_config(config.base.removeprefix(RANDOM_PREFIX), new.vocab_size) | {
            "pad_token_id": new.padding_id
        }
        architecture = read_architecture(fields, config.base)
        start = Checkpoint(architecture, fields, random_weights(architecture, config.seed), has_mlm_head=False)
        notes = [f"{config.base}: new weights, seed {config.seed}"]
    else:
        folder = resolve_base(config.base)
        base = load_checkpoint(folder)
        vectors_VD = None
        if config.transfer == "similar":
            vectors_VD = token_vectors(rows, new.vocab_size, new.special_ids, config.seed)
        start, counts = transfer_vocabulary(base, load_reader(folder), new, config.transfer, config.seed, vectors_VD)
        notes = [
            f"vocabulary of {new.vocab_size:,}: {counts.kept:,} tokens keep their vector, {counts.built:,} start from "
            f"{STARTS[config.transfer]}, {counts.unknown:,} unknown to the base start from noise"
        ]
    check_vocabulary(start, new)
    row_length = rows.ids.shape[1]
    if row_length > start.architecture.max_length:
        require(
            config.extend_positions,
            f"rows of {row_length} tokens, but the base reads {start.architecture.max_length} at most; encode with a "
            "smaller row_length, or set extend_positions",
        )
        notes.append(f"positions from {start.architecture.max_length} on take the vectors of the first ones again")
        start = with_positions(start, row_length)
    if not start.has_mlm_head:
        notes.append("the base has no MLM head: a new one was made")
        unigrams_V = _unigrams(rows, new)
        smoothed_V = np.pad(unigrams_V, (0, start.architecture.vocab_size - len(unigrams_V))) + 1.0
        start = replace(
            start, weights=start.weights | {"mlm/bias": np.log(smoothed_V / smoothed_V.sum()).astype(np.float32)}
        )
    return start, notes


def tokenizer_of_base(base: str) -> str | None:
    """Identity of a base's own tokenizer; None where it is made without one."""
    return None if is_random(base) else identify_tokenizer(resolve_base(base))


def _unigrams(rows: PackedRows, reader: TextReader) -> np.ndarray:
    """Occurrences of each id in the rows, (V,); special ids count as none."""
    counts_V = np.zeros(reader.vocab_size, np.int64)
    for start in range(0, len(rows.ids), 10_000):
        counts_V += np.bincount(np.ravel(rows.ids[start : start + 10_000]), minlength=reader.vocab_size)
    counts_V[list(reader.special_ids)] = 0
    return counts_V
