"""The table of families."""

from stackbert.core.families.bert import BERT
from stackbert.core.families.distilbert import DISTILBERT
from stackbert.core.families.family import Family
from stackbert.core.families.modernbert import MODERNBERT
from stackbert.core.families.roberta import CAMEMBERT, ROBERTA

FAMILIES: dict[str, Family] = {family.name: family for family in (BERT, DISTILBERT, ROBERTA, CAMEMBERT, MODERNBERT)}
"""`model_type` -> family."""
