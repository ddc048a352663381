"""A checkpoint's config.json as transformers' object, which has a say in the class of its tokenizer."""

from pathlib import Path
from typing import Any

from stackbert.core.checkpoints import read_config


def model_config(folder: Path) -> Any:
    """What `config.json` in `folder` says, for `AutoTokenizer`; None where there is none or its family is unknown.

    transformers itself refuses a byte order mark and nulls, and cannot tell the tokenizer of an older checkpoint whose
    config.json has no model_type. `vocab.txt` is BERT's form of a vocabulary.
    """
    from transformers import CONFIG_MAPPING, AutoConfig  # slow to import

    if not (folder / "config.json").is_file():
        return None
    fields = read_config(folder)
    family = fields.pop("model_type", "bert" if (folder / "vocab.txt").is_file() else None)
    return AutoConfig.for_model(family, **fields) if isinstance(family, str) and family in CONFIG_MAPPING else None
