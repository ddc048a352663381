"""Causal language modelling: each token is predicted from those before it in its text, by the MLM head.

A phase of it before masked language modelling gives a signal at every position instead of at the masked ones ("causal
detour": arXiv 2605.12438). Encoder, head and vocabulary are those of masked language modelling; only attention differs.
"""

# B rows, T tokens of a row, N = B x T, H hidden, S the parts of a random stream

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import tensorflow as tf

from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Losses


class CausalBatch(NamedTuple):
    """Packed rows, and which of their positions predict the next token; all shapes are static."""

    ids_BT: tf.Tensor
    segments_BT: tf.Tensor
    weights_BT: tf.Tensor
    """1.0 where the next token is an ordinary one of the same text, 0.0 elsewhere."""


class CausalLM:
    """Cross entropy of each text's next token, at every position that has one."""

    metrics: tuple[str, ...] = ("loss", "accuracy")
    weights: Mapping[str, tf.Variable] = MappingProxyType({})
    ignored: tuple[str, ...] = ()
    masks_tokens = False

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def losses(self, batch: CausalBatch) -> Losses:
        """Sums over the positions: cross entropy in nats, and correct predictions."""
        hidden_BTH = self._encoder.hidden(batch.ids_BT, batch.segments_BT, causal=True)
        states_NH = tf.reshape(hidden_BTH, (-1, hidden_BTH.shape[-1]))
        targets_N, weights_N = tf.reshape(_next(batch.ids_BT), [-1]), tf.reshape(batch.weights_BT, [-1])
        loss, num_correct = self._encoder.mlm_loss(states_NH, targets_N, weights_N)
        return Losses(loss, tf.stack([loss, num_correct]), tf.reduce_sum(weights_N))


class CausalCollator:
    """Makes causal batches of packed rows; see `objective.Collator`.

    Special tokens are not predicted, as they are not masked: [SEP] also stands where a long text was cut.
    """

    def __init__(self, special_ids: tuple[int, ...]) -> None:
        self._special_ids = tf.constant(special_ids, tf.int32)

    def __call__(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, stream_S: tf.Tensor) -> CausalBatch:
        """The batch of some rows; nothing in it is random."""
        del stream_S
        next_BT = _next(ids_BT)
        is_special_BT = tf.reduce_any(next_BT[:, :, None] == self._special_ids, -1)
        is_same_text_BT = (segments_BT > 0) & (segments_BT == _next(segments_BT))
        return CausalBatch(ids_BT, segments_BT, tf.cast(is_same_text_BT & ~is_special_BT, tf.float32))


def _next(x_BT: tf.Tensor) -> tf.Tensor:
    """The value at the next position; 0 after the last."""
    return tf.pad(x_BT[:, 1:], ((0, 0), (0, 1)))
