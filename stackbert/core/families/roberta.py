"""RoBERTa (Liu et al. 2019, arXiv 1907.11692), and two of its layout.

CamemBERT: Martin et al. 2020, arXiv 1911.03894. XLM-RoBERTa: Conneau et al. 2020, arXiv 1911.02116.
"""

from dataclasses import replace

from stackbert.core.families import bert
from stackbert.core.families.family import ClassifierNames, Family

ROBERTA = Family(
    name="roberta",
    class_prefix="Roberta",
    prefix="roberta",
    defaults=bert.DEFAULTS | {"vocab_size": 50_265, "pad_token_id": 1},
    tables=bert.TABLES,
    modules=bert.MODULES,
    layers="encoder.layer",
    layer_modules=bert.LAYER_MODULES,
    head_modules={"mlm/dense": "lm_head.dense", "mlm/norm": "lm_head.layer_norm"},
    head_starts=("lm_head.",),
    mlm_bias="lm_head.bias",
    decoder="lm_head.decoder",
    classifier=ClassifierNames("classifier.dense", "classifier.out_proj", "tanh"),
    counts_from_padding=True,
)
CAMEMBERT = replace(ROBERTA, name="camembert", class_prefix="Camembert", defaults=bert.DEFAULTS | {"pad_token_id": 1})
XLM_ROBERTA = replace(CAMEMBERT, name="xlm-roberta", class_prefix="XLMRoberta")
