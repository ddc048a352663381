"""Longer texts than a checkpoint was made for."""

from dataclasses import replace

import numpy as np

from pretrain.checkpoint import Checkpoint


def with_positions(checkpoint: Checkpoint, length: int) -> Checkpoint:
    """The checkpoint reading texts of `length` tokens: further positions take the vectors from the first on again.

    As Longformer's are made from RoBERTa's (Beltagy et al. 2020, arXiv 2004.05150, section 5): what a head knows of
    neighbouring positions then holds everywhere but at the seams.
    """
    architecture = checkpoint.architecture
    table_PH = checkpoint.weights["embeddings/position"]
    unread_PH, read_PH = np.split(table_PH, [architecture.first_position])
    repeats = -(-length // len(read_PH))
    longer_PH = np.concatenate([unread_PH, np.tile(read_PH, (repeats, 1))[:length]])
    return replace(
        checkpoint,
        architecture=replace(architecture, max_positions=len(longer_PH)),
        config=checkpoint.config | {"max_position_embeddings": len(longer_PH)},
        weights=checkpoint.weights | {"embeddings/position": longer_PH},
    )
