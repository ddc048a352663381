"""Word prediction: the vector of a title tells which words its body has, by the MLM head.

Bag-of-word prediction (Ma et al. 2024, arXiv 2401.11248): softmax of the MLM head's logits of a text's vector, against
a distribution over the distinct tokens of a bag. There the bag is the text's own, without stop words, in equal shares;
here it is that of the body which the title begins, and inverse document frequencies (Sparck Jones 1972, Journal of
Documentation 28, 11-21) make the shares, so that no list of stop words is needed.
"""

# B rows, T tokens of a row, M pairs of a text and its target in a row, S texts of a row, N = B x S, H hidden
# V vocabulary

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.config import TextPooling
from pretrain.model.encoder import Encoder
from pretrain.objectives.objective import Losses
from pretrain.objectives.tag_prediction import TargetBatch
from pretrain.objectives.text_vectors import pooled_vectors
from tokenizer.encoding.packed_rows import RowTargets

PAIRS_AT_ONCE = 10_000_000  # counted: 80 MB


class WordPrediction(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """Cross entropy between softmax(MLM head(text vector)) and the shares of the text's words.

    The head has a bias of its own for it, because bags have other frequencies than masked tokens.
    """

    metrics: tuple[str, ...] = ("loss", "accuracy")
    ignored: tuple[str, ...] = ("mlm/bias",)
    masks_tokens = False

    def __init__(self, encoder: Encoder, max_texts: int, pooling: TextPooling, bias_V: npt.NDArray[np.float32]) -> None:
        """`max_texts`: S, the most texts of a row; `bias_V`: where the bias starts, see `log_shares`."""
        super().__init__(name="word_prediction")
        self._encoder, self._max_texts, self._pooling = encoder, max_texts, pooling
        self._bias = tf.Variable(bias_V, name="words/bias")

    @property
    def weights(self) -> Mapping[str, tf.Variable]:
        """The bias, (V,)."""
        return {"words/bias": self._bias}

    def losses(self, batch: TargetBatch) -> Losses:
        """Sums over the texts: cross entropy in nats, and texts whose most probable word is one of theirs."""
        hidden_BTH = self._encoder.hidden(batch.ids_BT, batch.segments_BT)
        pooled_BSH = pooled_vectors(hidden_BTH, batch.segments_BT, self._max_texts, self._pooling)
        vectors_NH = tf.cast(tf.reshape(pooled_BSH, (-1, pooled_BSH.shape[-1])), self._encoder.dtype)
        scores_NV = tf.cast(self._encoder.mlm_logits(vectors_NH), tf.float32) + tf.convert_to_tensor(self._bias)
        scores_BSV = tf.reshape(scores_NV, (*pooled_BSH.shape[:2], scores_NV.shape[-1]))
        log_sums_BS = tf.reduce_logsumexp(scores_BSV, -1)
        at_BM2 = tf.stack([tf.maximum(batch.texts_BM - 1, 0), batch.targets_BM], -1)
        log_sums_BM = tf.gather(log_sums_BS, at_BM2[:, :, 0], batch_dims=1)
        loss = tf.reduce_sum(batch.weights_BM * (log_sums_BM - tf.gather_nd(scores_BSV, at_BM2, batch_dims=1)))
        best_BM = tf.gather(tf.argmax(scores_BSV, -1, tf.int32), at_BM2[:, :, 0], batch_dims=1)
        is_best_BM = (best_BM == batch.targets_BM) & (batch.weights_BM > 0)
        num_correct = tf.reduce_sum(tf.cast(is_best_BM, tf.float32))
        return Losses(loss, tf.stack([loss, num_correct]), tf.reduce_sum(batch.weights_BM))


class WordCollator:
    """Makes batches in which each word has a share of its text that goes with its inverse document frequency.

    See `objective.Collator`.
    """

    def __init__(self, inverse_frequencies_V: npt.NDArray[np.float32]) -> None:
        self._inverse_frequencies_V = tf.constant(inverse_frequencies_V)

    def __call__(
        self,
        ids_BT: tf.Tensor,
        segments_BT: tf.Tensor,
        texts_BM: tf.Tensor,
        targets_BM: tf.Tensor,
        stream_S: tf.Tensor,
    ) -> TargetBatch:
        """The batch of some rows; nothing in it is random."""
        del stream_S
        values_BM = tf.where(texts_BM > 0, tf.gather(self._inverse_frequencies_V, targets_BM), 0.0)
        most = tf.reduce_max(texts_BM)
        of_text_BSM = tf.cast(texts_BM[:, None, :] == tf.range(1, most + 1)[:, None], tf.float32)
        sums_BS1 = tf.reduce_sum(of_text_BSM * values_BM[:, None], -1, keepdims=True)
        sums_BM = tf.reduce_sum(of_text_BSM * sums_BS1, 1)
        return TargetBatch(ids_BT, segments_BT, texts_BM, targets_BM, tf.math.divide_no_nan(values_BM, sums_BM))


def inverse_frequencies(targets: RowTargets, size: int) -> npt.NDArray[np.float32]:
    """ln((texts + 1) / texts with the token), (V,), always above 0; a token of no text counts as one of one text."""
    counts_V = np.maximum(_counts(targets, size), 1)
    found_V: npt.NDArray[np.float32] = np.log((targets.num_texts + 1) / counts_V).astype(np.float32)
    return found_V


def log_shares(targets: RowTargets, size: int) -> npt.NDArray[np.float32]:
    """Log of each token's share of all texts' distributions, (V,), as if it stood in one more text."""
    mass_V = (_counts(targets, size) + 1) * inverse_frequencies(targets, size).astype(np.float64)
    logarithms_V: npt.NDArray[np.float32] = np.log(mass_V / mass_V.sum()).astype(np.float32)
    return logarithms_V


def _counts(targets: RowTargets, size: int) -> npt.NDArray[np.int64]:
    """Texts with each token, (V,)."""
    counts_V = np.zeros(size, np.int64)
    for start in range(0, len(targets.pairs_P2), PAIRS_AT_ONCE):
        words_P = targets.pairs_P2[start : start + PAIRS_AT_ONCE, 1].astype(np.int64)
        counts_V += np.bincount(words_P, minlength=size)
    return counts_V
