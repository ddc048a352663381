"""AdamW with decoupled decay and clipping."""

from collections.abc import Sequence

import tensorflow as tf

from pretrain.islands import island

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-6  # BERT's


class AdamW(tf.Module):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).

    Gradients are clipped by their global norm first. Decay is not applied to vectors (biases, LayerNorm).
    The step count that corrects the moments' bias is the optimizer's own, so its state is complete in a checkpoint.
    """

    def __init__(self, variables: Sequence[tf.Variable], weight_decay: float, clip_norm: float):
        super().__init__(name="adamw")
        self._variables = tuple(variables)
        self._weight_decay, self._clip_norm = weight_decay, clip_norm
        self.steps = tf.Variable(0, dtype=tf.int64, name="steps")
        self.means = [tf.Variable(tf.zeros(v.shape), name="mean") for v in variables]
        self.squares = [tf.Variable(tf.zeros(v.shape), name="square") for v in variables]

    def reset(self) -> None:
        """Forget all steps."""
        self.steps.assign(0)
        for moment in self.means + self.squares:
            moment.assign(tf.zeros_like(moment))

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> tf.Tensor:
        """Update the variables; returns the gradient's global norm before clipping."""
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(dense)
        scale = tf.minimum(1.0, self._clip_norm / tf.maximum(norm, 1e-12))
        count = tf.cast(self.steps.assign_add(1), tf.float32)
        corrected = rate * tf.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        for variable, gradient, mean, square in zip(self._variables, dense, self.means, self.squares, strict=True):
            decay = rate * (self._weight_decay if len(variable.shape) > 1 else 0.0)
            values = _updated(
                variable.read_value(), gradient * scale, mean.read_value(), square.read_value(), corrected, decay
            )
            for target, value in zip((variable, mean, square), values, strict=True):
                target.assign(value)
        return norm


@island
def _updated(value, gradient, mean, square, rate, decay):
    mean = BETA_1 * mean + (1 - BETA_1) * gradient
    square = BETA_2 * square + (1 - BETA_2) * tf.square(gradient)
    return value - rate * mean / (tf.sqrt(square) + EPSILON) - decay * value, mean, square
