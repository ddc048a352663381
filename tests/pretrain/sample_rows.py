"""A few packed rows of random tokens, and training batches of them."""

from pathlib import Path

import numpy as np

from pretrain.objectives.masked_lm import Masker
from pretrain.train.batches import TrainingBatches
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.vocabulary.train import train_tokenizer

ROWS, LENGTH = 37, 12
MASKER = Masker(50, (0, 1, 2, 3, 4), 4, 0.2)


def some_rows() -> PackedRows:
    ids = np.random.default_rng(1).integers(5, 50, (ROWS, LENGTH)).astype(np.uint16)
    ids[:, 0], ids[:, -1] = 2, 3
    return PackedRows(ids, first_id=2, padding_id=0, text_bytes=100, text_tokens=50)


def batches(seed: int = 0, batch_rows: int = 5) -> TrainingBatches:
    return TrainingBatches(some_rows(), MASKER.mask, batch_rows, seed)


def encode_with_new_vocabulary(corpus: Path, folder: Path, vocab_size: int, row_length: int) -> Path:
    """Train a vocabulary on a corpus and encode the corpus with it; `folder` then has 'tokenizer' and 'rows'."""
    train_tokenizer(corpus, folder / "tokenizer", TokenizerConfig(vocab_size=vocab_size))
    config = EncodeConfig(row_length=row_length, validation_share=0.1)
    encode_rows(corpus, folder / "tokenizer", folder / "rows", config)
    return folder
