"""The classification head: one or two dense layers."""

# N texts, P pooled width, H hidden, L labels

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.randomness import stream, uniform


class Head(tf.Module):  # type: ignore[misc]
    """Logits from pooled vectors of width P; `hidden_dim` 0 for a linear head.

    The hidden layer has the activation of Hugging Face's sequence classifiers of the family (see
    `stackbert.core.families`), so that a head can be saved as one.
    """

    def __init__(self, pooled_dim: int, hidden_dim: int, num_labels: int, activation: str):
        super().__init__(name="head")
        self._activation = {"tanh": tf.tanh, "relu": tf.nn.relu, "gelu": tf.nn.gelu}[activation]
        self.hidden_dim = hidden_dim
        shapes = {"kernel": (hidden_dim or pooled_dim, num_labels), "bias": (num_labels,)}
        if hidden_dim:
            shapes |= {"hidden/kernel": (pooled_dim, hidden_dim), "hidden/bias": (hidden_dim,)}
        self.weights = {name: tf.Variable(tf.zeros(shape), name=f"head/{name}") for name, shape in shapes.items()}

    @property
    def variables_in_order(self) -> list[tf.Variable]:
        """The trainable variables, in a fixed order."""
        return list(self.weights.values())

    def reset(self, seed: int) -> None:
        """Initialize the weights: Glorot uniform kernels, zero biases."""
        for name, variable in self.weights.items():
            if name.endswith("kernel"):
                limit = (6 / sum(variable.shape)) ** 0.5
                drawn = uniform(variable.shape, stream(seed, "head" if name == "kernel" else "head hidden"))
                variable.assign(limit * (2 * drawn - 1))
            else:
                variable.assign(tf.zeros_like(variable))

    def logits(self, pooled_NP: tf.Tensor) -> tf.Tensor:
        """Logits (N, L)."""
        x = pooled_NP
        if self.hidden_dim:
            x = self._activation(tf.matmul(x, self.weights["hidden/kernel"]) + self.weights["hidden/bias"])
        return tf.matmul(x, self.weights["kernel"]) + self.weights["bias"]

    def numpy_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of the weights."""
        return {name: variable.numpy() for name, variable in self.weights.items()}

    def assign(self, weights: Mapping[str, npt.NDArray[np.floating]]) -> None:
        """Set the weights."""
        for name, variable in self.weights.items():
            variable.assign(weights[name])
