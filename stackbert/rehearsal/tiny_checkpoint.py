"""Tiny random checkpoints in place of a study's: of the published layout, or with the files of a checkpoint at hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pretrain.model.architecture import own_name, read_architecture
from pretrain.model.checkpoint import Checkpoint, random_weights, save_checkpoint
from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import (
    MINILM_HUB_ID,
    TOKENIZER_FILES,
    BaseError,
    from_hub,
    is_random,
    read_config,
    resolve_base,
)
from stackbert.rehearsal.published import PUBLISHED, Published
from stackbert.rehearsal.vocabularies import write_vocabulary

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
"""Sizes that do not decide whether a study runs; those of the vocabulary and the positions do."""
OF_LAYERS = ("layer_types",)
"""Fields with an entry for each layer."""
SMALLEST = "random-tiny"
SEED = 0


def published_layout(name: str) -> Published | None:
    """The layout of a checkpoint on the hub, if it is known."""
    return PUBLISHED.get(MINILM_HUB_ID if name == "minilm" else name)


def write_tiny_checkpoint(name: str, texts: Sequence[str], folder: Path) -> tuple[str, str]:
    """Write a tiny checkpoint in place of `name` to `folder`; returns what is to be read, and how it was made.

    A folder gives its configuration and its tokenizer, a known id of the hub its published layout, and any other id
    what can be downloaded. Raises StackbertError where the layout cannot be known, or the tokenizer cannot be loaded.
    """
    if is_random(name):
        return SMALLEST, f"{SMALLEST}, with random weights as well"
    layout = None if Path(name).is_dir() else published_layout(name)
    folder.mkdir(parents=True)
    if layout:
        with TemporaryDirectory() as made:
            config = layout.config | write_vocabulary(layout, texts, Path(made))
            write_json(Path(made) / "config.json", config)
            _save(config, Path(made), folder)
        return str(folder), f"the published layout ({_described(layout)}), a vocabulary of {config['vocab_size']:,}"
    source = Path(name) if Path(name).is_dir() else _layout_files(name)
    _save(read_config(source), source, folder)
    return str(folder), "its own config.json and tokenizer"


def _save(config: Mapping[str, Any], tokenizer: Path, folder: Path) -> None:
    small = {own_name(dict(config), field): size for field, size in SMALL.items()}
    fields = {**{name: value for name, value in config.items() if name not in (*SMALL, *OF_LAYERS)}, **small}
    architecture = read_architecture(fields, str(tokenizer / "config.json"))
    checkpoint = Checkpoint(architecture, fields, random_weights(architecture, SEED), has_mlm_head=True)
    save_checkpoint(checkpoint, tokenizer, folder)


def _layout_files(name: str) -> Path:
    """A folder with the configuration and the tokenizer of a checkpoint on the hub, without its weights."""
    if name.count("/") != 1 or name.startswith((".", "~", "/")):
        resolve_base(name)  # says what such a name can be
    try:
        return from_hub(name, ("config.json", *TOKENIZER_FILES))
    except BaseError as error:
        known = ", ".join(PUBLISHED)
        raise BaseError(f"{error}; without it, a rehearsal knows the layouts of {known}") from error


def _described(layout: Published) -> str:
    case = "" if layout.form != "wordpiece" else ", cased" if layout.cased else ", uncased"
    return f"{layout.model_type}, {layout.max_position_embeddings} positions, {layout.form}{case}"
