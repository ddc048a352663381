"""The table of families."""

from stackbert.core.families.bert import BERT
from stackbert.core.families.distilbert import DISTILBERT
from stackbert.core.families.family import Family
from stackbert.core.families.roberta import CAMEMBERT, ROBERTA

FAMILIES: dict[str, Family] = {family.name: family for family in (BERT, DISTILBERT, ROBERTA, CAMEMBERT)}
"""`model_type` -> family."""
