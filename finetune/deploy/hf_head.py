"""Converts our head to that of transformers' `AutoModelForSequenceClassification`."""

# H hidden, L labels

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finetune.classifier.head import Head
from pretrain.model.architecture import Architecture
from pretrain.model.checkpoint import TaskHead

SCALE = 2.0**-12
"""Scales the input of the tanh layer so that it is the identity for a linear head: hidden states are at most 20, so the
relative error is 8e-6. Scaling by a power of two is exact."""
SHIFT = 128.0
"""Added to the input of a ReLU or GELU, so that it is the identity for a linear head."""


def hf_head(
    head: Head, architecture: Architecture, labels: Sequence[str], thresholds_L: npt.NDArray[np.float64]
) -> TaskHead:
    """Weights and configuration of the family's sequence classification class, which gives the same probabilities.

    These classes always have a hidden layer; for a linear head it is made the identity. transformers preserves the
    `thresholds` in the configuration, but does not use them.
    """
    weights = head.numpy_weights()
    kernel_HL, bias_L = weights["kernel"], weights["bias"]
    names, width = architecture.family.classifier, architecture.hidden_dim
    identity_HH, zeros_H = np.eye(width, dtype=np.float32), np.zeros(width, np.float32)
    if head.hidden_dim:
        inner_HH, inner_H = weights["hidden/kernel"], weights["hidden/bias"]
    elif names.activation != "tanh":
        inner_HH, inner_H = identity_HH, zeros_H + SHIFT
        bias_L = bias_L - SHIFT * kernel_HL.sum(0, dtype=np.float64)
    else:
        inner_HH, inner_H = SCALE * identity_HH, zeros_H
        kernel_HL = kernel_HL / SCALE
    tensors = {
        f"{names.inner}.weight": inner_HH.T,
        f"{names.inner}.bias": inner_H,
        f"{names.outer}.weight": kernel_HL.T,
        f"{names.outer}.bias": bias_L,
    }
    config: dict[str, Any] = {
        "problem_type": "multi_label_classification",
        "num_labels": len(labels),
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
        "thresholds": [float(threshold) for threshold in thresholds_L],
    }
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
    return TaskHead(f"{architecture.family.class_prefix}ForSequenceClassification", config, arrays)
