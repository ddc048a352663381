"""ELECTRA (Clark et al. 2020, arXiv 2003.10555): BERT, whose small sizes have narrower embeddings than layers.

Of its two models, published apart, the generator has an MLM head; the discriminator has another task's.
"""

from stackbert.core.families import bert
from stackbert.core.families.family import ClassifierNames, Family

ELECTRA = Family(
    name="electra",
    class_prefix="Electra",
    prefix="electra",
    defaults=bert.DEFAULTS
    | {"embedding_size": 128, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1_024},
    tables=bert.TABLES,
    modules=bert.MODULES | {"embeddings/projection": "embeddings_project"},
    layers="encoder.layer",
    layer_modules=bert.LAYER_MODULES,
    head_modules={"mlm/dense": "generator_predictions.dense", "mlm/norm": "generator_predictions.LayerNorm"},
    head_starts=("generator_predictions.", "generator_lm_head."),
    mlm_bias="generator_lm_head.bias",
    decoder="generator_lm_head",
    classifier=ClassifierNames("classifier.dense", "classifier.out_proj", "gelu", base_has_pooler=False),
)
