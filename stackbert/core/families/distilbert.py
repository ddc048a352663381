"""DistilBERT (Sanh et al. 2019, arXiv 1910.01108): BERT without token types."""

from stackbert.core.families import bert
from stackbert.core.families.family import ClassifierNames, Family

_NOT_IN_DISTILBERT = ("type_vocab_size", "layer_norm_eps")

DISTILBERT = Family(
    name="distilbert",
    class_prefix="DistilBert",
    prefix="distilbert",
    defaults={name: value for name, value in bert.DEFAULTS.items() if name not in _NOT_IN_DISTILBERT}
    | {"num_hidden_layers": 6},
    tables={name: table for name, table in bert.TABLES.items() if name != "embeddings/type"},
    modules=bert.MODULES,
    layers="transformer.layer",
    layer_modules={
        "attention/qkv": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        "attention/output": ("attention.out_lin",),
        "attention/norm": ("sa_layer_norm",),
        "feed_forward/inner": ("ffn.lin1",),
        "feed_forward/outer": ("ffn.lin2",),
        "feed_forward/norm": ("output_layer_norm",),
    },
    head_modules={"mlm/dense": "vocab_transform", "mlm/norm": "vocab_layer_norm"},
    head_starts=("vocab_",),
    mlm_bias="vocab_projector.bias",
    decoder="vocab_projector",
    classifier=ClassifierNames("pre_classifier", "classifier", "relu", base_has_pooler=False),
    own_fields={
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
    },
    takes_bert_names=True,
    norm_epsilon=1e-12,
)
