"""BERT (Devlin et al. 2019, arXiv 1810.04805)."""

from typing import Any

from stackbert.core.families.family import ClassifierNames, Family

DEFAULTS: dict[str, Any] = {
    "vocab_size": 30_522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3_072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
TABLES = {
    "embeddings/word": "embeddings.word_embeddings",
    "embeddings/position": "embeddings.position_embeddings",
    "embeddings/type": "embeddings.token_type_embeddings",
}
MODULES = {"embeddings/norm": "embeddings.LayerNorm"}
LAYER_MODULES = {
    "attention/qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention/output": ("attention.output.dense",),
    "attention/norm": ("attention.output.LayerNorm",),
    "feed_forward/inner": ("intermediate.dense",),
    "feed_forward/outer": ("output.dense",),
    "feed_forward/norm": ("output.LayerNorm",),
}

BERT = Family(
    name="bert",
    class_prefix="Bert",
    prefix="bert",
    defaults=DEFAULTS,
    tables=TABLES,
    modules=MODULES,
    layers="encoder.layer",
    layer_modules=LAYER_MODULES,
    head_modules={
        "mlm/dense": "cls.predictions.transform.dense",
        "mlm/norm": "cls.predictions.transform.LayerNorm",
    },
    head_starts=("cls.predictions.",),
    mlm_bias="cls.predictions.bias",
    decoder="cls.predictions.decoder",
    classifier=ClassifierNames("bert.pooler.dense", "classifier", "tanh"),
)
