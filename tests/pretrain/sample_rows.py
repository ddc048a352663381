"""A few packed rows of random tokens, and training batches of them."""

import numpy as np

from pretrain.objectives.masked_lm import Masker
from pretrain.train.batches import TrainingBatches
from tokenizer.encoding.packed_rows import PackedRows

ROWS, LENGTH = 37, 12
MASKER = Masker(50, (0, 1, 2, 3, 4), 4, 0.2)


def some_rows() -> PackedRows:
    ids = np.random.default_rng(1).integers(5, 50, (ROWS, LENGTH)).astype(np.uint16)
    ids[:, 0], ids[:, -1] = 2, 3
    return PackedRows(ids, first_id=2, padding_id=0, text_bytes=100, text_tokens=50)


def batches(seed: int = 0, batch_rows: int = 5) -> TrainingBatches:
    return TrainingBatches(some_rows(), MASKER.mask, batch_rows, seed)
