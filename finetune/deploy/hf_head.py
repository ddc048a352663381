"""Our head in the form of transformers' `AutoModelForSequenceClassification`."""

# H hidden, L labels

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.classifier.head import Head
from pretrain.model.architecture import Architecture
from pretrain.model.checkpoint import TaskHead

SCALE = 2.0**-12
"""A linear head goes through their tanh where tanh(x) is x: a hidden state is 20 at most, so the error is a relative
8e-6. A power of two changes no digit of a weight."""
SHIFT = 128.0
"""A linear head goes through DistilBERT's ReLU lifted by so much that nothing is negative."""

CLASS_NAMES = {
    "bert": "BertForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "camembert": "CamembertForSequenceClassification",
}
LAYERS = {  # the hidden layer and the labels' in each family
    "bert": ("bert.pooler.dense", "classifier"),
    "distilbert": ("pre_classifier", "classifier"),
    "roberta": ("classifier.dense", "classifier.out_proj"),
    "camembert": ("classifier.dense", "classifier.out_proj"),
}


def sequence_classification(
    head: Head, architecture: Architecture, labels: Sequence[str], thresholds_L: np.ndarray
) -> TaskHead:
    """The head and its labels as transformers' classes of the family compute them, from the state of the first token.

    Their classes always have a hidden layer; a linear head passes through it unchanged. `thresholds` in the
    configuration is ours: transformers keeps it and does not read it.
    """
    weights = head.numpy_weights()
    kernel_HL, bias_L = weights["kernel"], weights["bias"]
    width = architecture.hidden_dim
    identity_HH, zeros_H = np.eye(width, dtype=np.float32), np.zeros(width, np.float32)
    if head.hidden_dim:
        inner_HH, inner_H = weights["hidden/kernel"], weights["hidden/bias"]
    elif architecture.family == "distilbert":
        inner_HH, inner_H = identity_HH, zeros_H + SHIFT
        bias_L = bias_L - SHIFT * kernel_HL.sum(0, dtype=np.float64)
    else:
        inner_HH, inner_H = SCALE * identity_HH, zeros_H
        kernel_HL = kernel_HL / SCALE
    inner, outer = LAYERS[architecture.family]
    tensors = {
        f"{inner}.weight": inner_HH.T,
        f"{inner}.bias": inner_H,
        f"{outer}.weight": kernel_HL.T,
        f"{outer}.bias": bias_L,
    }
    config: dict[str, Any] = {
        "problem_type": "multi_label_classification",
        "num_labels": len(labels),
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
        "thresholds": [float(threshold) for threshold in thresholds_L],
    }
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
    return TaskHead(CLASS_NAMES[architecture.family], config, arrays)
