"""The table of families."""

from stackbert.core.families.bert import BERT
from stackbert.core.families.distilbert import DISTILBERT
from stackbert.core.families.electra import ELECTRA
from stackbert.core.families.family import Family
from stackbert.core.families.modernbert import MODERNBERT
from stackbert.core.families.mpnet import MPNET
from stackbert.core.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA

FAMILIES: dict[str, Family] = {
    family.name: family for family in (BERT, DISTILBERT, ROBERTA, CAMEMBERT, XLM_ROBERTA, ELECTRA, MPNET, MODERNBERT)
}
"""`model_type` -> family."""
