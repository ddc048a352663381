"""The bias of a new MLM head, from how frequent tokens are in the rows."""

# B rows, T tokens of a row, M positions, V vocabulary

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.model.checkpoint import Checkpoint
from pretrain.model.encoder import Encoder
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.packing import segments_of
from tokenizer.encoding.reader import TextReader

ROWS_PER_COUNT = 10_000  # counted at once, so that memory does not grow with the rows
CALIBRATION_ROWS, ROWS_AT_ONCE = 64, 16
MASKED_SHARE = 0.15
ROUNDS = 8  # of the calibration; the loss no longer changes in the fourth digit

Floats = npt.NDArray[np.float32]


def with_unigram_bias(checkpoint: Checkpoint, reader: TextReader, rows: PackedRows) -> Checkpoint:
    """The checkpoint with an MLM bias of each token's log frequency in the rows.

    The first steps then need not learn which tokens are frequent.
    """
    bias_V = np.log(_frequencies(checkpoint, reader, rows)).astype(np.float32)
    return replace(checkpoint, weights=checkpoint.weights | {"mlm/bias": bias_V})


def with_calibrated_bias(checkpoint: Checkpoint, reader: TextReader, rows: PackedRows, seed: int) -> Checkpoint:
    """The checkpoint with the MLM bias at which its mean prediction is each token's frequency in the rows.

    The products of hidden states and word vectors differ between tokens by far more than between positions: added to
    log frequencies they give some tokens a multiple of their share, and new tokens all too much or too little. The bias
    that undoes this has a gradient of 0 (of the cross entropy, it is mean prediction minus frequency), and is found by
    iterative scaling on the masked tokens of some rows.
    """
    target_V = np.log(_frequencies(checkpoint, reader, rows))
    logits_MV = _masked_logits(checkpoint, reader, rows, seed)
    bias_V = target_V.copy()
    for _ in range(ROUNDS):
        bias_V += target_V - np.log(_mean_prediction(logits_MV, bias_V))
    return replace(checkpoint, weights=checkpoint.weights | {"mlm/bias": bias_V.astype(np.float32)})


def _frequencies(checkpoint: Checkpoint, reader: TextReader, rows: PackedRows) -> npt.NDArray[np.float64]:
    """Share of each id in the rows, (V,), as if each had occurred once more."""
    counts_V = _unigram_counts(rows, reader)
    smoothed_V = np.pad(counts_V, (0, checkpoint.architecture.vocab_size - len(counts_V))) + 1.0
    shares_V: npt.NDArray[np.float64] = smoothed_V / smoothed_V.sum()
    return shares_V


def _unigram_counts(rows: PackedRows, reader: TextReader) -> npt.NDArray[np.int64]:
    """Occurrences of each id in the rows, (V,); 0 for special ids."""
    counts_V = np.zeros(reader.vocab_size, np.int64)
    for start in range(0, len(rows.ids), ROWS_PER_COUNT):
        counts_V += np.bincount(np.ravel(rows.ids[start : start + ROWS_PER_COUNT]), minlength=reader.vocab_size)
    counts_V[list(reader.special_ids)] = 0
    return counts_V


def _masked_logits(checkpoint: Checkpoint, reader: TextReader, rows: PackedRows, seed: int) -> Floats:
    """Logits, without bias, at masked tokens of some rows, (M, V)."""
    generator = np.random.default_rng([seed, 0x44])
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    chosen = np.sort(generator.permutation(len(rows.ids))[:CALIBRATION_ROWS])
    found = []
    for start in range(0, len(chosen), ROWS_AT_ONCE):
        ids_BT = np.asarray(rows.ids[chosen[start : start + ROWS_AT_ONCE]]).astype(np.int32)
        is_masked_BT = ~np.isin(ids_BT, reader.special_ids) & (generator.random(ids_BT.shape) < MASKED_SHARE)
        segments_BT = segments_of(ids_BT, rows.first_id, rows.padding_id)
        read_BT = np.where(is_masked_BT, np.int32(reader.mask_id), ids_BT)
        hidden_BTH = encoder.hidden(tf.constant(read_BT), tf.constant(segments_BT))
        found.append(encoder.mlm_logits(tf.boolean_mask(hidden_BTH, is_masked_BT)).numpy())
    return np.concatenate(found)


def _mean_prediction(logits_MV: Floats, bias_V: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean over positions of the softmax, (V,)."""
    sums_V = np.zeros(len(bias_V))
    for row_V in logits_MV:
        scores_V = row_V + bias_V
        shares_V = np.exp(scores_V - scores_V.max())
        sums_V += shares_V / shares_V.sum()
    return sums_V / len(logits_MV)
