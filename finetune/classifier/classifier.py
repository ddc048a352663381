"""A multi-label classifier: an encoder, a pooled vector per text, and a sigmoid per label."""

# R rows, T tokens, M = R x T, S text slots per row, D = R x S, N texts, H hidden, P pooled, L labels

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.head import Head
from finetune.classifier.text_batches import TextBatch, batch_of_rows, inference_batches, sized_batches, slots_in_row
from finetune.classifier.text_sections import encode_texts
from finetune.config import FinetuneConfig
from pretrain.model.checkpoint import Checkpoint
from pretrain.model.encoder import Encoder
from pretrain.train.device import choose_dtype
from stackbert.core.progress import Progress
from tokenizer.encoding.reader import TextReader

ROWS_PER_BATCH = 32  # of inference; enough to keep two cores busy


class Classifier(tf.Module):  # type: ignore[misc]
    """An encoder and a head that computes a logit per label."""

    def __init__(self, checkpoint: Checkpoint, reader: TextReader, num_labels: int, config: FinetuneConfig):
        super().__init__(name="classifier")
        self.checkpoint, self.reader, self.config = checkpoint, reader, config
        self.encoder = Encoder(checkpoint.architecture, checkpoint.weights, choose_dtype(config.precision))
        width = checkpoint.architecture.hidden_dim
        self.pooled_dim = 2 * width if config.pooling == "cls+mean" else width
        activation = checkpoint.architecture.family.classifier.activation
        self.head = Head(self.pooled_dim, width if config.hidden_layer else 0, num_labels, activation)
        self._compiled: dict[int, Any] = {}
        """Concrete functions of `pooled` by number of rows."""

    def encoder_rates(self, layer_decay: float) -> list[tuple[tf.Variable, float]]:
        """The encoder's trainable weights (all but the MLM head's), each with the factor on its learning rate.

        The factor is `layer_decay` for the last layer, its square for the one below, and so on down to the embeddings
        (Clark et al. 2020, arXiv 2003.10555).
        """
        layers = self.checkpoint.architecture.num_layers
        return [
            (variable, layer_decay ** (layers - _layer_of(name, layers)))
            for name, variable in self.encoder.weights.items()
            if not name.startswith("mlm/")
        ]

    def pooled(self, batch: TextBatch) -> tf.Tensor:
        """One vector per text, (N, P) float32; P is the hidden width, or twice that with pooling 'cls+mean'."""
        if self.config.pooling == "cls":  # computes the last layer at the first tokens only
            first_DH = self.encoder.hidden_at(batch.ids_RT, batch.segments_RT, batch.firsts_RS)
            return tf.cast(tf.gather(first_DH, batch.slots_N), tf.float32)
        hidden_RTH = tf.cast(self.encoder.hidden(batch.ids_RT, batch.segments_RT), tf.float32)
        hidden_MH, owners_M = tf.reshape(hidden_RTH, (-1, hidden_RTH.shape[-1])), tf.reshape(batch.owners_RT, [-1])
        mean_NH = tf.math.unsorted_segment_mean(hidden_MH, owners_M, tf.size(batch.slots_N))
        if self.config.pooling == "mean":
            return mean_NH
        first_RSH = tf.gather(hidden_RTH, batch.firsts_RS, batch_dims=1)
        first_DH = tf.reshape(first_RSH, (-1, hidden_RTH.shape[-1]))
        return tf.concat([tf.gather(first_DH, batch.slots_N), mean_NH], 1)

    def sequences(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text."""
        return encode_texts(texts, self.reader, self.config)[0]

    def features(self, sequences: list[list[int]]) -> npt.NDArray[np.float32]:
        """Pooled vectors of all texts, (N, P), in their order."""
        features_NP = np.zeros((len(sequences), self.pooled_dim), np.float32)
        rows = 1 if sum(map(len, sequences)) <= self.config.max_length else ROWS_PER_BATCH
        warm_up = 0 if rows in self._compiled else 1
        with Progress("  encoding", len(sequences), unit="texts", warm_up=warm_up) as progress:
            for batch, indices_N in inference_batches(sequences, self.reader, self.config.max_length, rows):
                features_NP[indices_N] = self._pooled_of_rows(batch)
                progress.advance(len(indices_N))
        return features_NP

    def features_in_sizes(self, sequences: list[list[int]], row_sizes: Sequence[int]) -> npt.NDArray[np.float32]:
        """Like `features`, without progress and in batches of these numbers of rows, which descend.

        For few texts at a time and often: `compile_features` compiles the sizes before.
        """
        features_NP = np.zeros((len(sequences), self.pooled_dim), np.float32)
        for batch, indices_N in sized_batches(sequences, self.reader, self.config.max_length, row_sizes):
            features_NP[indices_N] = self._pooled_of_rows(batch)
        return features_NP

    def compile_features(self, row_sizes: Sequence[int] = (ROWS_PER_BATCH,)) -> None:
        """Compile `features` by encoding an empty text, so that timing it does not include compilation."""
        empty = [[self.reader.first_id, self.reader.last_id]]
        for rows in row_sizes:
            batch, _ = batch_of_rows(empty, [[0]], self.reader, self.config.max_length, rows)
            self._pooled_of_rows(batch)

    def probabilities(self, sequences: list[list[int]]) -> npt.NDArray[np.float32]:
        """Probabilities (N, L) from token ids."""
        return self.head_probabilities(self.features(sequences))

    def head_probabilities(self, features_NP: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities (N, L) from pooled vectors."""
        probabilities_NL = tf.sigmoid(self.head.logits(tf.constant(features_NP))).numpy()
        return cast(npt.NDArray[np.float32], probabilities_NL)

    def _pooled_of_rows(self, batch: TextBatch) -> npt.NDArray[np.float32]:
        """`pooled` of a batch, compiled once for each number of rows and any number of texts."""
        rows = len(batch.ids_RT)
        if rows not in self._compiled:
            function = tf.function(self.pooled, autograph=False)
            self._compiled[rows] = function.get_concrete_function(batch_spec(rows, self.config.max_length, None))
        features_NP = self._compiled[rows](TextBatch(*map(tf.constant, batch))).numpy()
        return cast(npt.NDArray[np.float32], features_NP)


def batch_spec(num_rows: int, row_length: int, num_texts: int | None) -> TextBatch:
    """Shapes and types of a batch's tensors; `num_texts` None for any number."""
    table = tf.TensorSpec((num_rows, row_length), tf.int32)
    firsts = tf.TensorSpec((num_rows, slots_in_row(row_length)), tf.int32)
    return TextBatch(table, table, firsts, tf.TensorSpec([num_texts], tf.int32), table)


def _layer_of(name: str, num_layers: int) -> int:
    """Index of the layer that a weight belongs to: -1 for the embeddings, the last one for the norm after it.

    >>> [_layer_of(name, 6) for name in ("layer_3/attention/norm/beta", "embeddings/word", "final/norm/gamma")]
    [3, -1, 5]
    """
    scope = name.partition("/")[0]
    if scope == "final":
        return num_layers - 1
    return int(scope.removeprefix("layer_")) if scope.startswith("layer_") else -1
