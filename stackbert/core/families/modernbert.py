"""ModernBERT (Warner et al. 2024, arXiv 2412.13663) and the models of its layout, such as Ettin (arXiv 2507.11412)."""

from stackbert.core.families.family import ClassifierNames, Family

MODERNBERT = Family(
    name="modernbert",
    class_prefix="ModernBert",
    prefix="model",
    defaults={
        "vocab_size": 50_368,
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1_152,
        "hidden_act": "gelu",
        "max_position_embeddings": 8_192,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 50_283,
    },
    tables={"embeddings/word": "embeddings.tok_embeddings"},
    modules={"embeddings/norm": "embeddings.norm", "final/norm": "final_norm"},
    layers="layers",
    layer_modules={
        "attention/norm": ("attn_norm",),
        "attention/qkv": ("attn.Wqkv",),
        "attention/output": ("attn.Wo",),
        "feed_forward/norm": ("mlp_norm",),
        "feed_forward/inner": ("mlp.Wi",),
        "feed_forward/outer": ("mlp.Wo",),
    },
    head_modules={"mlm/dense": "head.dense", "mlm/norm": "head.norm"},
    head_starts=("head.", "decoder."),
    mlm_bias="decoder.bias",
    decoder="decoder",
    classifier=ClassifierNames("head.dense", "classifier", "gelu", base_has_pooler=False, norm="head.norm"),
    own_fields={"hidden_act": "hidden_activation", "layer_norm_eps": "norm_eps"},
    variants={
        "classifier_activation": ("gelu",),  # of the MLM head, too
        "norm_bias": (False,),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "classifier_bias": (False,),
        "decoder_bias": (True,),
        "rope_scaling": ({},),
        "position_embedding_type": ("absolute", "sans_pos"),  # of the code that trained mmBERT; transformers ignores it
    },
    is_pre_norm=True,
)
