"""How a checkpoint makes one vector of a text, as sentence-transformers declares it beside the weights (modules.json).

Reimers and Gurevych 2019, arXiv 1908.10084. A checkpoint that is adapted, merged or converted stays what its base is.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from pretrain.config import TextPooling
from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import read_json_object
from stackbert.core.errors import StackbertError, require

MODULES_FILE = "modules.json"
LENGTH_FILES = tuple(f"sentence_{family}_config.json" for family in ("bert", "roberta", "distilbert", "camembert"))
SETTINGS_FILE = "config_sentence_transformers.json"
POOLING_FOLDER, NORMALIZE_FOLDER = "1_Pooling", "2_Normalize"
DECLARING_FILES = (MODULES_FILE, f"{POOLING_FOLDER}/config.json", *LENGTH_FILES, SETTINGS_FILE)
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
}
"""Flags of a pooling's configuration, in the order in which their vectors are concatenated. All versions read them."""


class ModulesError(StackbertError):
    """A checkpoint declares modules that are not a pooling of ours."""


@dataclass(frozen=True)
class SentenceEncoder:
    """Pooling of the last hidden states, and what is done besides."""

    pooling: TextPooling
    normalize: bool
    """Whether vectors are divided by their Euclidean length."""
    max_length: int | None = None
    """Maximum number of tokens per text, including the first and the last; None: what the encoder reads."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Further entries of SETTINGS_FILE, such as `prompts`."""

    def __str__(self) -> str:
        return f"pooling {self.pooling}{', vectors of length 1' if self.normalize else ''}"

    def save(self, folder: Path, hidden_dim: int) -> None:
        """Declare it in a checkpoint's folder, and read it back; raises ModulesError where that differs."""
        kinds = [("Transformer", ""), ("Pooling", POOLING_FOLDER)]
        kinds += [("Normalize", NORMALIZE_FOLDER)] if self.normalize else []
        modules = [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (kind, path) in enumerate(kinds)
        ]
        (folder / POOLING_FOLDER).mkdir()
        flags = {flag: mode in self.pooling.split("+") for flag, mode in FLAGS.items()}
        write_json(folder / POOLING_FOLDER / "config.json", {"word_embedding_dimension": hidden_dim, **flags})
        length = {} if self.max_length is None else {"max_seq_length": self.max_length}
        write_json(folder / LENGTH_FILES[0], {**length, "do_lower_case": False})
        write_json(folder / SETTINGS_FILE, self.settings)
        write_json(folder / MODULES_FILE, modules)
        if load_sentence_encoder(folder) != self:
            raise ModulesError(f"{folder}: {MODULES_FILE} and its like differ from what was written; check the disk")


def load_sentence_encoder(folder: Path) -> SentenceEncoder | None:
    """What the checkpoint in this folder declares; None where it has no MODULES_FILE.

    Raises ModulesError where it declares anything but an encoder, one of our poolings and normalisation.
    """
    path = folder / MODULES_FILE
    if not path.is_file():
        return None
    try:
        modules = json.loads(path.read_text("utf-8-sig"))
        kinds = [module["type"].rpartition(".")[2] for module in modules]
        require(
            kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]),
            f"{', '.join(kinds)} are not an encoder (Transformer) with Pooling and perhaps Normalize",
        )
        pooling = _pooling(folder / modules[1]["path"] / "config.json")
        length = next((read_json_object(folder / name) for name in LENGTH_FILES if (folder / name).is_file()), {})
        require(not length.get("do_lower_case"), "do_lower_case is set; lowercase in the tokenizer's normalizer")
        settings = read_json_object(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).is_file() else {}
        prompt = settings.get("default_prompt_name")
        require(prompt is None, f"default_prompt_name is {prompt!r}; texts are read without a prompt")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, StackbertError) as error:
        raise ModulesError(f"{path}: declares a sentence encoder that cannot be used: {error}") from error
    settings = {name: value for name, value in settings.items() if name != "__version__"}
    return SentenceEncoder(pooling, "Normalize" in kinds, length.get("max_seq_length"), settings)


def carried_over(base: Path) -> tuple[SentenceEncoder | None, list[str]]:
    """What a checkpoint that is made from `base` declares as well, and notes on it."""
    try:
        encoder = load_sentence_encoder(base)
    except ModulesError as error:
        return None, [f"not carried over: {error}"]
    return encoder, [f"a sentence encoder as its base is: {encoder}"] if encoder else []


def _pooling(path: Path) -> TextPooling:
    config = read_json_object(path)
    modes = config.get("pooling_mode", [mode for flag, mode in FLAGS.items() if config.get(flag)])
    name = modes if isinstance(modes, str) else "+".join(modes)
    poolings = get_args(TextPooling)
    require(name in poolings, f"pooling {name or 'of no kind'} is not one of {', '.join(poolings)}")
    return cast(TextPooling, name)
