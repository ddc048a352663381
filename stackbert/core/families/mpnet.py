"""MPNet (Song et al. 2020, arXiv 2004.09297): BERT without token types, whose scores have a bias of distances, too."""

from stackbert.core.families import bert
from stackbert.core.families.family import ClassifierNames, Family

MPNET = Family(
    name="mpnet",
    class_prefix="MPNet",
    prefix="mpnet",
    defaults={name: value for name, value in bert.DEFAULTS.items() if name != "type_vocab_size"}
    | {"vocab_size": 30_527, "pad_token_id": 1, "relative_attention_num_buckets": 32},
    tables={name: table for name, table in bert.TABLES.items() if name != "embeddings/type"}
    | {"embeddings/distance": "encoder.relative_attention_bias"},
    modules=bert.MODULES,
    layers="encoder.layer",
    layer_modules=bert.LAYER_MODULES
    | {
        "attention/qkv": ("attention.attn.q", "attention.attn.k", "attention.attn.v"),
        "attention/output": ("attention.attn.o",),
        "attention/norm": ("attention.LayerNorm",),
    },
    head_modules={"mlm/dense": "lm_head.dense", "mlm/norm": "lm_head.layer_norm"},
    head_starts=("lm_head.",),
    mlm_bias="lm_head.bias",
    decoder="lm_head.decoder",
    classifier=ClassifierNames("classifier.dense", "classifier.out_proj", "tanh"),
    variants={"relative_attention_num_buckets": (32,)},  # a constant of its class in transformers
    uncounted_id=1,
)
