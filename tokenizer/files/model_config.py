"""A checkpoint's config.json as transformers' object, which has a say in the class of its tokenizer."""

from pathlib import Path
from typing import Any

from stackbert.core.checkpoints import read_config


def model_config(folder: Path) -> Any:
    """What `config.json` in `folder` says of the tokenizer, for `AutoTokenizer`; None where it says nothing.

    transformers itself refuses a byte order mark, nulls, and wrong values that are not about the tokenizer. And it
    cannot tell the tokenizer of an older checkpoint whose config.json has no model_type: `vocab.txt` is BERT's form.
    """
    from transformers import CONFIG_MAPPING, AutoConfig  # slow to import

    if not (folder / "config.json").is_file():
        return None
    fields = read_config(folder)
    family = fields.get("model_type", "bert" if (folder / "vocab.txt").is_file() else None)
    if not isinstance(family, str) or family not in CONFIG_MAPPING:
        return None
    tokenizer_class = fields.get("tokenizer_class")
    return AutoConfig.for_model(family, **({"tokenizer_class": tokenizer_class} if tokenizer_class else {}))
