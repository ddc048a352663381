"""Bases with tiny random weights, for the tokenizers of `tests.tokenizer.made_tokenizers`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from pretrain.model.checkpoint import save_checkpoint
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.made_tokenizers import FORMS


def base_with_weights(form: str, folder: Path) -> Path:
    """`folder`/base, whose tokenizer is that of `folder`/source in the form of FORMS."""
    source = FORMS[form](folder / "source")
    base = shutil.copytree(source, folder / "base")
    settings = json.loads((source / "config.json").read_text())
    checkpoint = tiny_checkpoint(settings["model_type"], settings["vocab_size"])
    save_checkpoint(replace(checkpoint, config=settings), source, base)
    return base
