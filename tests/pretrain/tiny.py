"""Tiny checkpoints of each family, the same weights on every machine, and batches for them."""

from typing import Any

import numpy as np
import tensorflow as tf

from pretrain.model.architecture import read_architecture, weight_shapes
from pretrain.model.checkpoint import Checkpoint
from pretrain.objectives.masked_lm import MaskedBatch, Masker
from pretrain.randomness import stream

VOCAB_SIZE, HIDDEN_DIM, LAYERS, HEADS, INNER_DIM, POSITIONS = 48, 24, 2, 3, 32, 20

BERT_NAMES = {
    "hidden_size": HIDDEN_DIM,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER_DIM,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": BERT_NAMES | {"model_type": "bert", "type_vocab_size": 2, "pad_token_id": 0},
    "roberta": BERT_NAMES | {"model_type": "roberta", "type_vocab_size": 1, "pad_token_id": 1},
    "camembert": BERT_NAMES | {"model_type": "camembert", "type_vocab_size": 1, "pad_token_id": 1},
    "xlm-roberta": BERT_NAMES | {"model_type": "xlm-roberta", "type_vocab_size": 1, "pad_token_id": 1},
    "electra": BERT_NAMES | {"model_type": "electra", "embedding_size": 16, "type_vocab_size": 2, "pad_token_id": 0},
    "mpnet": BERT_NAMES | {"model_type": "mpnet", "pad_token_id": 1},
    "distilbert": {
        "model_type": "distilbert",
        "dim": HIDDEN_DIM,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_dim": INNER_DIM,
        "activation": "gelu",
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "pad_token_id": 0,
    },
    "modernbert": {
        "model_type": "modernbert",
        "hidden_size": HIDDEN_DIM,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER_DIM,
        "norm_eps": 1e-5,
        "local_attention": 4,  # two tokens to each side: rows of more than six are read in blocks
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 30.0},
            "full_attention": {"rope_type": "default", "rope_theta": 400.0},
        },
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    },
}


def tiny_checkpoint(family: str, vocab_size: int = VOCAB_SIZE, positions: int = POSITIONS) -> Checkpoint:
    """A checkpoint with weights far enough from 0 that a mistake shows in the outputs."""
    config = CONFIGS[family] | {"vocab_size": vocab_size, "max_position_embeddings": positions}
    architecture = read_architecture(config, family)
    generator = np.random.RandomState(7)  # its stream is frozen, whatever the version of numpy
    weights = {
        name: generator.normal(0, 0.3, shape).astype("f4") for name, shape in weight_shapes(architecture).items()
    }
    for name in weights:
        if name.endswith("gamma"):
            weights[name] += 1
    return Checkpoint(architecture, config, weights, has_mlm_head=True)


def padded_batch(family: str) -> dict[str, np.ndarray]:
    """Three texts of 12, 7 and 3 tokens: ids, attention mask, and labels (-100 where nothing is masked)."""
    generator = np.random.RandomState(11)
    lengths = np.array([12, 7, 3])
    mask = (np.arange(12) < lengths[:, None]).astype(np.int32)
    padding = CONFIGS[family]["pad_token_id"]
    ids = np.where(mask, generator.randint(5, VOCAB_SIZE, mask.shape), padding).astype(np.int32)
    masked = mask * (generator.uniform(size=mask.shape) < 0.4)
    masked[:, 1] = 1
    labels = np.where(masked, generator.randint(5, VOCAB_SIZE, mask.shape), -100).astype(np.int64)
    return {"ids": ids, "mask": mask, "labels": labels}


def masked_batch() -> MaskedBatch:
    """Four masked rows of 12 ordinary tokens."""
    ids = tf.constant(np.random.default_rng(2).integers(5, VOCAB_SIZE, (4, 12)), tf.int32)
    return Masker(VOCAB_SIZE, (0, 1, 2, 3, 4), 4, 0.25).mask(ids, tf.ones_like(ids), stream(0, "mask"))
