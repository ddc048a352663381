"""Converts our head to that of transformers' `AutoModelForSequenceClassification`."""

# H hidden, L labels

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finetune.classifier.head import Head
from finetune.config import FinetuneConfig
from pretrain.model.architecture import Architecture
from pretrain.model.checkpoint import Checkpoint, TaskHead
from stackbert.core.families.family import Family

SCALE = 2.0**-12
"""Scales the input of the tanh layer so that it is the identity for a linear head: hidden states are at most 20, so the
relative error is 8e-6. Scaling by a power of two is exact."""
SHIFT = 128.0
"""Added to the input of a ReLU or GELU, so that it is the identity for a linear head."""
TINY = 2.0**-20
"""Scales the input of a GELU that is followed by a LayerNorm: the relative error of half the input is 8e-7 of it."""


def has_hf_head(config: FinetuneConfig, family: Family) -> bool:
    """Whether the family's sequence classification class can compute a classifier.

    None has mean pooling, and where a LayerNorm is part of the head, our hidden layer has no place.
    """
    return config.pooling == "cls" and not (config.hidden_layer and family.classifier.norm)


def hf_head(
    head: Head, checkpoint: Checkpoint, labels: Sequence[str], thresholds_L: npt.NDArray[np.float64]
) -> TaskHead:
    """Weights and configuration of the family's sequence classification class, which gives the same probabilities.

    These classes always have a hidden layer; for a linear head it is made the identity. transformers preserves the
    `thresholds` in the configuration, but does not use them.
    """
    family = checkpoint.architecture.family
    tensors = _after_norm(head, checkpoint) if family.classifier.norm else _two_layers(head, checkpoint.architecture)
    config: dict[str, Any] = {
        "problem_type": "multi_label_classification",
        "num_labels": len(labels),
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
        "thresholds": [float(threshold) for threshold in thresholds_L],
    }
    if family.classifier.norm:
        config["classifier_pooling"] = "cls"
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
    return TaskHead(f"{family.class_prefix}ForSequenceClassification", config, arrays)


def _two_layers(head: Head, architecture: Architecture) -> dict[str, Any]:
    weights, names, width = head.numpy_weights(), architecture.family.classifier, architecture.hidden_dim
    kernel_HL, bias_L = weights["kernel"], weights["bias"]
    identity_HH, zeros_H = np.eye(width, dtype=np.float32), np.zeros(width, np.float32)
    if head.hidden_dim:
        inner_HH, inner_H = weights["hidden/kernel"], weights["hidden/bias"]
    elif names.activation != "tanh":
        inner_HH, inner_H = identity_HH, zeros_H + SHIFT
        bias_L = bias_L - SHIFT * kernel_HL.sum(0, dtype=np.float64)
    else:
        inner_HH, inner_H = SCALE * identity_HH, zeros_H
        kernel_HL = kernel_HL / SCALE
    return {
        f"{names.inner}.weight": inner_HH.T,
        f"{names.inner}.bias": inner_H,
        f"{names.outer}.weight": kernel_HL.T,
        f"{names.outer}.bias": bias_L,
    }


def _after_norm(head: Head, checkpoint: Checkpoint) -> dict[str, Any]:
    """A linear head behind a dense layer without bias, GELU and LayerNorm, all three made the identity.

    The states are a normalised vector times the final norm's scale. Divided by that scale and made tiny, GELU halves
    them, and their variance is far below the LayerNorm's epsilon, so that it multiplies by a constant.
    """
    weights, names = head.numpy_weights(), checkpoint.architecture.family.classifier
    scale_H = checkpoint.weights["final/norm/gamma"].astype(np.float64)
    inverse_H = np.divide(1.0, scale_H, out=np.zeros_like(scale_H), where=scale_H != 0)
    halved = TINY / 2
    normalizer = np.sqrt(checkpoint.architecture.norm_epsilon + halved**2)
    return {
        f"{names.inner}.weight": np.diag(TINY * inverse_H),
        f"{names.norm}.weight": np.full_like(scale_H, normalizer / halved),
        f"{names.outer}.weight": (scale_H[:, None] * weights["kernel"]).T,
        f"{names.outer}.bias": weights["bias"],
    }
