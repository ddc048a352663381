"""A multi-label classifier: an encoder, a pooled vector per text, and a sigmoid per label."""

# R rows, T tokens, M = R x T, S text slots per row, D = R x S, N texts, H hidden, P pooled, L labels
# C replicas

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.head import Head
from finetune.classifier.text_sections import encode_texts
from finetune.config import FinetuneConfig
from pretrain.model.checkpoint import Checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.text_batches import TextBatch, batch_of_rows, inference_batches, sized_batches, slots_in_row
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import HOST, Replicas
from stackbert.core.progress import Progress
from tokenizer.encoding.reader import TextReader

ROWS_PER_BATCH = 32  # of inference; enough to keep two cores busy


class Classifier(tf.Module):  # type: ignore[misc]
    """An encoder and a head that computes a logit per label."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        reader: TextReader,
        num_labels: int,
        config: FinetuneConfig,
        replicas: Replicas | None = None,
    ):
        super().__init__(name="classifier")
        self.checkpoint, self.reader, self.config = checkpoint, reader, config
        self.replicas = replicas or Replicas()
        width = checkpoint.architecture.hidden_dim
        self.pooled_dim = 2 * width if config.pooling == "cls+mean" else width
        activation = checkpoint.architecture.family.classifier.activation
        dtype = choose_dtype(config.precision, self.replicas.accelerated)
        with self.replicas.scope():
            self.encoder = Encoder(checkpoint.architecture, checkpoint.weights, dtype)
            self.head = Head(self.pooled_dim, width if config.hidden_layer else 0, num_labels, activation)
        self._function = tf.function(
            lambda batch: self.replicas.run(lambda own: self.replicas.gather(self.pooled(own)), batch),
            jit_compile=self.replicas.compiles_step,
            autograph=False,
        )
        self._compiled: dict[int, Callable[[TextBatch], tf.Tensor]] = {}
        """Concrete functions of `pooled` on all replicas, by number of rows."""

    def load(self, checkpoint: Checkpoint, reader: TextReader) -> None:
        """Take another checkpoint of the same architecture and its tokenizer; what was compiled serves it too."""
        assert checkpoint.architecture == self.checkpoint.architecture
        self.checkpoint, self.reader = checkpoint, reader
        self.encoder.assign(checkpoint.weights)

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
        for indices_N, pooled_NP in self.feature_batches(sequences):
            features_NP[indices_N] = pooled_NP
        return features_NP

    def feature_batches(
        self, sequences: list[list[int]], first: int = 0
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Indices and pooled vectors of the texts of each batch, from batch number `first` on.

        Batches and vectors do not depend on the number of replicas.
        """
        rows = 1 if sum(map(len, sequences)) <= self.config.max_length else ROWS_PER_BATCH
        batches = inference_batches(sequences, self.reader.padding_id, self.config.max_length, rows)
        done = sum(len(indices_N) for _, indices_N in itertools.islice(batches, first))
        quiet, warm_up = not self.replicas.is_chief, 0 if rows in self._compiled else 1
        with Progress("  encoding", len(sequences), done, unit="texts", warm_up=warm_up, quiet=quiet) as progress:
            for indices_N, pooled_NP in self._pooled_of_batches(batches):
                progress.advance(len(indices_N))
                yield indices_N, pooled_NP

    def features_in_sizes(self, sequences: list[list[int]], row_sizes: Sequence[int]) -> npt.NDArray[np.float32]:
        """Like `features`, without progress and in batches of these numbers of rows, which descend.

        For few texts at a time and often: `compile_features` compiles the sizes before.
        """
        features_NP = np.zeros((len(sequences), self.pooled_dim), np.float32)
        for batch in sized_batches(sequences, self.reader.padding_id, self.config.max_length, row_sizes):
            for indices_N, pooled_NP in self._pooled_of_batches([batch]):
                features_NP[indices_N] = pooled_NP
        return features_NP

    def compile_features(self, row_sizes: Sequence[int] = (ROWS_PER_BATCH,)) -> None:
        """Compile `features` by encoding an empty text, so that timing it does not include compilation."""
        empty = [[self.reader.first_id, self.reader.last_id]]
        for rows in row_sizes:
            batch = batch_of_rows(empty, [[0]], self.reader.padding_id, self.config.max_length, rows)
            list(self._pooled_of_batches([batch]))

    def probabilities(self, sequences: list[list[int]]) -> npt.NDArray[np.float32]:
        """Probabilities (N, L) from token ids."""
        return self.head_probabilities(self.features(sequences))

    def head_probabilities(self, features_NP: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities (N, L) from pooled vectors."""
        with tf.device(HOST):
            probabilities_NL = tf.sigmoid(self.head.logits_of(tf.constant(features_NP), self.head.numpy_weights()))
        return cast(npt.NDArray[np.float32], probabilities_NL.numpy())

    def _pooled_of_batches(
        self, batches: Iterable[tuple[TextBatch, npt.NDArray[np.int64]]]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Indices and pooled vectors of the texts of batches of equally many rows, each on one of the replicas."""
        remaining = iter(batches)
        while group := list(itertools.islice(remaining, self.replicas.count)):
            pooled_CNP = self._pooled_of_group([batch for batch, _ in group])
            for (_, indices_N), pooled_NP in zip(group, pooled_CNP, strict=False):
                yield indices_N, pooled_NP[: len(indices_N)]

    def _pooled_of_group(self, batches: list[TextBatch]) -> npt.NDArray[np.float32]:
        """`pooled` of as many batches as there are replicas, or fewer, (C, N, P); N is the most texts of a batch."""
        rows, slots = batches[0].firsts_RS.shape

        def batch_of(number: int) -> TextBatch:
            batch = batches[min(number, len(batches) - 1)]  # replicas without a batch of their own repeat the last one
            slots_N = np.pad(batch.slots_N, (0, rows * slots - len(batch.slots_N)))  # to one shape for any texts
            return TextBatch(*map(tf.constant, batch._replace(slots_N=slots_N)))

        placed = self.replicas.place(batch_of)
        if rows not in self._compiled:
            self._compiled[rows] = self._function.get_concrete_function(placed)
        pooled_NP = self._compiled[rows](placed).numpy()
        return cast(npt.NDArray[np.float32], pooled_NP.reshape(self.replicas.count, rows * slots, self.pooled_dim))


def batch_spec(num_rows: int, row_length: int, num_texts: int) -> TextBatch:
    """Shapes and types of a batch's tensors."""
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
