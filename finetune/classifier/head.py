"""The classification head: one or two dense layers."""

# N texts, P pooled width, H hidden, L labels

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.randomness import stream, uniform

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Array]

ACTIVATIONS = {"tanh": tf.tanh, "relu": tf.nn.relu, "gelu": tf.nn.gelu}


class Head(tf.Module):  # type: ignore[misc]
    """Logits from pooled vectors of width P; `hidden_dim` 0 for a linear head.

    The hidden layer has the activation of Hugging Face's sequence classifiers of the family (see
    `stackbert.core.families`), so that a head can be saved as one.
    """

    def __init__(self, pooled_dim: int, hidden_dim: int, num_labels: int, activation: str):
        super().__init__(name="head")
        self.pooled_dim, self.hidden_dim = pooled_dim, hidden_dim
        self.num_labels, self.activation = num_labels, activation
        shapes = {"kernel": (hidden_dim or pooled_dim, num_labels), "bias": (num_labels,)}
        if hidden_dim:
            shapes |= {"hidden/kernel": (pooled_dim, hidden_dim), "hidden/bias": (hidden_dim,)}
        self.weights = {name: tf.Variable(tf.zeros(shape), name=f"head/{name}") for name, shape in shapes.items()}
        self.center = tf.Variable(tf.zeros(pooled_dim), trainable=False, name="head/center")
        """Mean vector of the training texts, which dropout puts in the place of what it drops. No part of the model."""

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
        return self.logits_of(pooled_NP, self.weights)

    def logits_of(self, pooled_NP: tf.Tensor, weights: Mapping[str, Any]) -> tf.Tensor:
        """Logits (N, L) with other weights than its own."""
        x = pooled_NP
        if self.hidden_dim:
            x = ACTIVATIONS[self.activation](tf.matmul(x, weights["hidden/kernel"]) + weights["hidden/bias"])
        return tf.matmul(x, weights["kernel"]) + weights["bias"]

    def for_raw_features(self, weights: Weights, mean_P: Array, scale_P: Array) -> Weights:
        """The weights with which raw features give the logits that `weights` give for (raw - mean) / scale."""
        prefix = "hidden/" if self.hidden_dim else ""
        kernel = weights[f"{prefix}kernel"] / scale_P[:, None]
        bias = weights[f"{prefix}bias"] - mean_P @ kernel
        return {**weights, f"{prefix}kernel": kernel, f"{prefix}bias": bias}

    def numpy_weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of the weights."""
        return {name: variable.numpy() for name, variable in self.weights.items()}

    def assign(self, weights: Weights) -> None:
        """Set the weights."""
        for name, variable in self.weights.items():
            variable.assign(weights[name])
