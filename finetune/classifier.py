"""A multi-label classifier: an encoder, one pooled vector a text, and a sigmoid for each label."""

# R rows, T tokens, N texts, H hidden, L labels

import numpy as np
import tensorflow as tf

from finetune.batches import TextBatch, inference_batches
from finetune.config import FinetuneConfig
from pretrain.checkpoint import Checkpoint
from pretrain.device import choose_dtype
from pretrain.encoder import Encoder
from pretrain.randomness import stream, uniform
from tokenizer.reader import TextReader

ROWS_PER_BATCH = 32  # of inference; enough to fill two cores


class Classifier(tf.Module):
    """An encoder with a linear head; `logits` gives one a label."""

    def __init__(self, checkpoint: Checkpoint, reader: TextReader, num_labels: int, config: FinetuneConfig):
        super().__init__(name="classifier")
        self.checkpoint, self.reader, self.config = checkpoint, reader, config
        self.encoder = Encoder(checkpoint.architecture, checkpoint.weights, choose_dtype(config.precision))
        hidden_dim = checkpoint.architecture.hidden_dim
        self.kernel_HL = tf.Variable(tf.zeros((hidden_dim, num_labels)), name="head/kernel")
        self.bias_L = tf.Variable(tf.zeros(num_labels), name="head/bias")
        shape = (ROWS_PER_BATCH, config.max_length)
        table, vector = tf.TensorSpec(shape, tf.int32), tf.TensorSpec([None], tf.int32)
        self._pooled = tf.function(
            self.pooled, input_signature=[TextBatch(table, table, vector, table)], autograph=False
        )

    def reset_head(self, seed: int) -> None:
        """New head weights: Glorot uniform kernel, zero bias."""
        limit = (6 / sum(self.kernel_HL.shape)) ** 0.5
        self.kernel_HL.assign(limit * (2 * uniform(self.kernel_HL.shape, stream(seed, "head")) - 1))
        self.bias_L.assign(tf.zeros_like(self.bias_L))

    @property
    def head_variables(self) -> list[tf.Variable]:
        return [self.kernel_HL, self.bias_L]

    @property
    def encoder_variables(self) -> list[tf.Variable]:
        """The encoder's weights that a label can depend on: all but the MLM head's."""
        return [variable for name, variable in self.encoder.weights.items() if not name.startswith("mlm/")]

    def pooled(self, batch: TextBatch) -> tf.Tensor:
        """One vector a text, (N, H) float32."""
        hidden_RTH = self.encoder.hidden(batch.ids_RT, batch.segments_RT)
        hidden_MH = tf.cast(tf.reshape(hidden_RTH, (-1, hidden_RTH.shape[-1])), tf.float32)
        if self.config.pooling == "cls":
            return tf.gather(hidden_MH, batch.firsts_N)
        owners_M = tf.reshape(batch.owners_RT, [-1])
        return tf.math.unsorted_segment_mean(hidden_MH, owners_M, tf.size(batch.firsts_N))

    def logits(self, features_NH: tf.Tensor) -> tf.Tensor:
        """(N, L)."""
        return tf.matmul(features_NH, self.kernel_HL) + self.bias_L

    def sequences(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, cut to the recipe's length."""
        return self.reader.ids_for_classifier(texts, self.config.max_length)

    def features(self, sequences: list[list[int]]) -> np.ndarray:
        """Pooled vectors of all texts, (N, H) float32, in their order."""
        features_NH = np.zeros((len(sequences), self.checkpoint.architecture.hidden_dim), np.float32)
        for batch, numbers in inference_batches(sequences, self.reader, self.config.max_length, ROWS_PER_BATCH):
            features_NH[numbers] = self._pooled(batch).numpy()
        return features_NH

    def probabilities(self, sequences: list[list[int]]) -> np.ndarray:
        """(N, L) float32."""
        return self.head_probabilities(self.features(sequences))

    def head_probabilities(self, features_NH: np.ndarray) -> np.ndarray:
        """(N, L) float32 from pooled vectors."""
        return tf.sigmoid(self.logits(tf.constant(features_NH))).numpy()


def binary_cross_entropy(logits_NL: tf.Tensor, targets_NL: tf.Tensor, weights_N: tf.Tensor) -> tf.Tensor:
    """Mean over labels and over the texts with weight 1, in nats."""
    losses_NL = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets_NL, tf.float32), logits_NL)
    return tf.reduce_sum(tf.reduce_mean(losses_NL, 1) * weights_N) / tf.reduce_sum(weights_N)
