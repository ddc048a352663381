"""Copies of fields of published config.json files, of every checkpoint that the included studies name."""

from typing import Any

_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3_072}
_BERT = _BASE | {
    "model_type": "bert",
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "type_vocab_size": 2,
}
_DISTILBERT = {
    "model_type": "distilbert",
    "activation": "gelu",
    "dim": 768,
    "n_layers": 6,
    "n_heads": 12,
    "hidden_dim": 3_072,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
_ROBERTA = _BASE | {
    "model_type": "roberta",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 514,
    "pad_token_id": 1,
    "type_vocab_size": 1,
    "vocab_size": 50_265,
}
_MODERNBERT = {
    "model_type": "modernbert",
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "norm_eps": 1e-5,
    "global_attn_every_n_layers": 3,
    "local_attention": 128,
    "max_position_embeddings": 8_192,
    "pad_token_id": 50_283,
    "vocab_size": 50_368,
}


def _modernbert(width: int, layers: int, heads: int, inner: int) -> dict[str, Any]:
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
    return _MODERNBERT | sizes | {"intermediate_size": inner}


_MINILM = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1_536, "vocab_size": 30_522}

CONFIGS: dict[str, dict[str, Any]] = {
    "sentence-transformers/all-MiniLM-L6-v2": _BERT | _MINILM,
    "google-bert/bert-base-uncased": _BERT | {"vocab_size": 30_522},
    "google-bert/bert-base-cased": _BERT | {"vocab_size": 28_996},
    "distilbert/distilbert-base-uncased": _DISTILBERT | {"vocab_size": 30_522},
    "distilbert/distilbert-base-cased": _DISTILBERT | {"vocab_size": 28_996},
    "distilbert/distilbert-base-multilingual-cased": _DISTILBERT | {"vocab_size": 119_547},
    "allenai/scibert_scivocab_uncased": _BERT | {"vocab_size": 31_090},
    "allenai/scibert_scivocab_cased": _BERT | {"vocab_size": 31_116},
    "FacebookAI/roberta-base": _ROBERTA,
    "distilbert/distilroberta-base": _ROBERTA | {"num_hidden_layers": 6},
    "microsoft/codebert-base": _ROBERTA,
    "answerdotai/ModernBERT-base": _MODERNBERT
    | {"hidden_size": 768, "num_hidden_layers": 22, "num_attention_heads": 12, "intermediate_size": 1_152},
    "jhu-clsp/ettin-encoder-17m": _MODERNBERT
    | {"hidden_size": 256, "num_hidden_layers": 7, "num_attention_heads": 4, "intermediate_size": 384},
    "jhu-clsp/ettin-encoder-32m": _MODERNBERT
    | {"hidden_size": 384, "num_hidden_layers": 10, "num_attention_heads": 6, "intermediate_size": 576},
    "jhu-clsp/ettin-encoder-68m": _MODERNBERT
    | {"hidden_size": 512, "num_hidden_layers": 19, "num_attention_heads": 8, "intermediate_size": 768},
    "almanach/camembert-base": _ROBERTA | {"model_type": "camembert", "vocab_size": 32_005},
}
