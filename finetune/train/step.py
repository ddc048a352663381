"""One training step of the whole model: gradients of all replicas' texts, then an AdamW update."""

# R rows, T tokens, S text slots per row, N texts of a slice, P pooled, L labels

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from finetune.classifier.classifier import Classifier, batch_spec
from finetune.classifier.losses import label_loss
from finetune.train.batches import LabelledBatch, Step
from pretrain.randomness import uniform
from pretrain.train.optimizer import AdamW
from pretrain.train.replicas import Replicas


class FinetuneStep:
    """Trains the encoder and the head of a classifier; make it in the scope of the classifier's replicas.

    Nothing of a checkpoint, of the training texts or of a seed is a constant of it, so that it is compiled once for all
    trials whose shapes are the same.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier, config = classifier, classifier.config
        trained = [(variable, 1.0) for variable in classifier.head.variables_in_order]
        trained += classifier.encoder_rates(config.layer_decay)
        self.variables, rates = map(list, zip(*trained, strict=True))
        self.optimizer = AdamW(self.variables, config.weight_decay, config.clip_norm, rates=rates)

    def update(
        self,
        batch: LabelledBatch,
        rate: tf.Tensor,
        positive_weights_L: tf.Tensor,
        num_stopping: tf.Tensor,
        compile_gradients: bool = False,
    ) -> tf.Tensor:
        """Take a step on one replica's slice of the batch; returns the whole batch's mean loss and `num_stopping`.

        `num_stopping` is 1 where this replica's worker was asked to stop, which all workers thus learn.
        """
        gradients_of = self._gradients
        if compile_gradients:
            gradients_of = tf.function(gradients_of, jit_compile=True, autograph=False)
        gradients, sums_2 = gradients_of(batch, positive_weights_L)
        sums_3 = tf.concat([sums_2, [num_stopping]], 0)
        *gradients, sums_3 = self._classifier.replicas.sum([*gradients, sums_3])
        loss, weight, num_stopping = tf.unstack(sums_3)
        self.optimizer.apply(gradients, rate, weight)
        return tf.stack([loss / weight, num_stopping])

    def specs(self, num_rows: int, num_texts: int) -> tuple[LabelledBatch, tf.TensorSpec, tf.TensorSpec, tf.TensorSpec]:
        """Shapes and types of the arguments of `update`, for a slice of `num_texts` texts in `num_rows` rows."""
        num_labels = self._classifier.head.num_labels
        texts = batch_spec(num_rows, self._classifier.config.max_length, num_texts)
        targets_NL = tf.TensorSpec((num_texts, num_labels), tf.uint8)
        weights_N, stream_3 = tf.TensorSpec((num_texts,), tf.float32), tf.TensorSpec((3,), tf.int32)
        scalar = tf.TensorSpec((), tf.float32)
        batch = LabelledBatch(*texts, targets_NL, weights_N, stream_3)
        return batch, scalar, tf.TensorSpec((num_labels,), tf.float32), scalar

    def _gradients(self, batch: LabelledBatch, positive_weights_L: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of the weighted sum of the texts' losses, and that sum and the sum of weights, (2,)."""
        config = self._classifier.config
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self.variables)
            head = self._classifier.head
            pooled_NP = dropout(self._classifier.pooled(batch.texts), head.center, config.dropout, batch.stream_3)
            logits_NL = head.logits(pooled_NP)
            losses_N = label_loss(config.loss, logits_NL, batch.targets_NL, positive_weights_L)
            loss = tf.reduce_sum(losses_N * batch.weights_N)
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(loss, self.variables)]
        return gradients, tf.stack([loss, tf.reduce_sum(batch.weights_N)])


class CompiledStep:
    """Executes the step, compiled once for each number of rows.

    On a CPU, XLA compiles the fused ops only; on accelerators it compiles the whole step (several GPUs: each one's
    gradients), as in pretraining.
    """

    def __init__(self, step: FinetuneStep, replicas: Replicas) -> None:
        def run(*arguments: Any) -> tf.Tensor:
            return replicas.run(step.update, *arguments, replicas.compiles_gradients)

        self._replicas = replicas
        self._function = tf.function(run, jit_compile=replicas.compiles_step, autograph=False)
        self._compiled: dict[int, Callable[..., tf.Tensor]] = {}
        """Concrete functions by number of rows."""

    def __len__(self) -> int:
        return len(self._compiled)

    def __call__(
        self, step: Step, rate: float, positive_weights_L: npt.NDArray[np.float32], stopping: bool = False
    ) -> tuple[float, bool]:
        """Take a step; returns its mean loss, and whether this worker, if `stopping`, or another was asked to stop."""
        batch = self._replicas.place(lambda number: LabelledBatch(*map(tf.convert_to_tensor, step.slice_of(number))))
        arguments = batch, tf.constant(rate), tf.constant(positive_weights_L), tf.constant(float(stopping))
        if step.num_rows not in self._compiled:
            self._compiled[step.num_rows] = self._function.get_concrete_function(*arguments)
        loss, num_stopping = self._compiled[step.num_rows](*arguments).numpy().tolist()
        return loss, num_stopping > 0


def dropout(pooled_NP: tf.Tensor, center_P: tf.Tensor, rate: float, stream_3: tf.Tensor) -> tf.Tensor:
    """Put `center_P` in the place of each value with probability `rate`; others move away from it by 1 / (1 - `rate`).

    The numbers drawn belong to the text, whichever slice of a batch it is in.
    """
    if not rate:
        return pooled_NP
    is_kept_NP = uniform(pooled_NP.shape, stream_3) >= rate
    return center_P + tf.where(is_kept_NP, (pooled_NP - center_P) / (1 - rate), 0.0)
