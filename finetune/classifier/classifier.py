"""A multi-label classifier: an encoder, one pooled vector a text, and a sigmoid for each label."""

# R rows, T tokens, M = R x T, S slots for texts in a row, D = R x S, N texts, H hidden, P pooled,
# L labels

import numpy as np
import tensorflow as tf

from finetune.classifier.head import Head
from finetune.classifier.text_batches import TextBatch, batch_of_rows, inference_batches, slots_in_row
from finetune.classifier.text_parts import read_texts
from finetune.config import FinetuneConfig
from pretrain.model.checkpoint import Checkpoint
from pretrain.model.encoder import Encoder
from pretrain.train.device import choose_dtype
from stackbert.core.progress import Progress
from tokenizer.encoding.reader import TextReader

ROWS_PER_BATCH = 32  # of inference; enough to fill two cores
LINE_SECONDS = 20.0  # between lines of progress; an epoch can take ten minutes


class Classifier(tf.Module):
    """An encoder and the head that gives a logit for each label."""

    def __init__(self, checkpoint: Checkpoint, reader: TextReader, num_labels: int, config: FinetuneConfig):
        super().__init__(name="classifier")
        self.checkpoint, self.reader, self.config = checkpoint, reader, config
        self.encoder = Encoder(checkpoint.architecture, checkpoint.weights, choose_dtype(config.precision))
        width = checkpoint.architecture.hidden_dim
        self.pooled_dim = 2 * width if config.pooling == "cls+mean" else width
        activation = "relu" if checkpoint.architecture.family == "distilbert" else "tanh"
        self.head = Head(self.pooled_dim, width if config.hidden_layer else 0, num_labels, activation)
        self._pooled_of_rows: dict[int, tf.types.experimental.PolymorphicFunction] = {}

    def encoder_rates(self, layer_decay: float) -> list[tuple[tf.Variable, float]]:
        """Weights of the encoder that a label can depend on (all but the MLM head's), each with the factor on its rate.

        The factor is `layer_decay` for the last layer, its square for the one below, and so on; the embeddings come
        last (Clark et al. 2020, arXiv 2003.10555).
        """
        layers = self.checkpoint.architecture.num_layers
        return [
            (variable, layer_decay ** (layers - _layer_of(name)))
            for name, variable in self.encoder.weights.items()
            if not name.startswith("mlm/")
        ]

    def pooled(self, batch: TextBatch) -> tf.Tensor:
        """One vector a text, (N, P) float32; P is the hidden width, twice that where first and mean are joined."""
        if self.config.pooling == "cls":  # nothing else of the last layer is asked for
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
        """Token ids of each text, as the recipe reads it."""
        return read_texts(texts, self.reader, self.config)[0]

    def features(self, sequences: list[list[int]]) -> np.ndarray:
        """Pooled vectors of all texts, (N, P) float32, in their order."""
        features_NP = np.zeros((len(sequences), self.pooled_dim), np.float32)
        rows = 1 if sum(map(len, sequences)) <= self.config.max_length else ROWS_PER_BATCH
        progress, done = Progress("  texts read by the encoder", len(sequences), line_seconds=LINE_SECONDS), 0
        for batch, numbers in inference_batches(sequences, self.reader, self.config.max_length, rows):
            features_NP[numbers] = self._pooled(rows)(batch).numpy()
            done += len(numbers)
            progress.show(done)
        return features_NP

    def compile_features(self) -> None:
        """Run `features` of many texts on none but an empty one, so that a clock does not count its compilation."""
        empty = [[self.reader.first_id, self.reader.last_id]]
        batch, _ = batch_of_rows(empty, [[0]], self.reader, self.config.max_length, ROWS_PER_BATCH)
        self._pooled(ROWS_PER_BATCH)(batch)

    def _pooled(self, rows: int) -> tf.types.experimental.PolymorphicFunction:
        """`pooled` of batches of so many rows, compiled once for any number of texts in them."""
        if rows not in self._pooled_of_rows:
            table = tf.TensorSpec((rows, self.config.max_length), tf.int32)
            firsts = tf.TensorSpec((rows, slots_in_row(self.config.max_length)), tf.int32)
            signature = [TextBatch(table, table, firsts, tf.TensorSpec([None], tf.int32), table)]
            self._pooled_of_rows[rows] = tf.function(self.pooled, input_signature=signature, autograph=False)
        return self._pooled_of_rows[rows]

    def probabilities(self, sequences: list[list[int]]) -> np.ndarray:
        """(N, L) float32."""
        return self.head_probabilities(self.features(sequences))

    def head_probabilities(self, features_NP: np.ndarray) -> np.ndarray:
        """(N, L) float32 from pooled vectors."""
        return tf.sigmoid(self.head.logits(tf.constant(features_NP))).numpy()


def _layer_of(name: str) -> int:
    """Number of the layer that a weight belongs to, -1 for the embeddings.

    >>> _layer_of("layer_3/attention/norm/beta"), _layer_of("embeddings/word")
    (3, -1)
    """
    room = name.partition("/")[0]
    return int(room.removeprefix("layer_")) if room.startswith("layer_") else -1
