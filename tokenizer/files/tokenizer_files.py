"""A tokenizer's files: loaded with transformers and checked, and written so that the same tokenizer is read back."""

import json
import math
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import Tokenizer

from stackbert.core.artifact import write_json
from stackbert.core.checkpoints import TOKENIZER_FILES, VOCABULARY_FILES
from stackbert.core.errors import StackbertError
from tokenizer.files.model_config import model_config
from tokenizer.files.tokenizer_checks import ROLES, check_files, check_loaded, found_files, moved_tokens

GENERAL_CLASS = "PreTrainedTokenizerFast"
"""Reads tokenizer.json as it is; the classes of families build parts of it anew."""
UNLIMITED = 1e12  # transformers writes 1e30 where a tokenizer has no model_max_length
SETTINGS = ("model_max_length", "padding_side", "truncation_side", "model_input_names")


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder` as `transformers.AutoTokenizer` loads it, which also reads older layouts of files.

    Raises StackbertError where there is none, or it is not the one that its files describe; see `tokenizer_checks`.
    """
    check_files(folder)
    try:
        loaded = _open(folder)
    except Exception as error:  # broken files raise many types, among them plain Exception from the Rust library
        raise StackbertError(f"{folder}: its tokenizer cannot be loaded: {_reason(folder, error)}") from error
    check_loaded(loaded, folder)
    return loaded


def write_tokenizer(source: Path, folder: Path) -> None:
    """Write the tokenizer of `source` to `folder`, which may hold a checkpoint's config.json; read it and compare.

    The files are copied. Where AutoTokenizer then reads another tokenizer (config.json has a say in it), or the files
    name other ids than it reads, one `tokenizer.json` with its settings is written instead. Raises StackbertError where
    that differs as well.
    """
    expected = load_tokenizer(source)
    for name in found_files(source):
        shutil.copyfile(source / name, folder / name)
    if not moved_tokens(expected, source) and not _differences(expected, folder):
        return
    for name in TOKENIZER_FILES:
        (folder / name).unlink(missing_ok=True)
    _write_plain(expected, source, folder)
    differing = _differences(expected, folder)
    if differing:
        raise StackbertError(
            f"{source}: its tokenizer cannot be written so that transformers reads the same one: "
            f"{', '.join(differing)} would differ; open it with AutoTokenizer, save it with save_pretrained, and use "
            "that folder"
        )


def check_writing(source: Path, config: dict[str, Any]) -> None:
    """Raise StackbertError where the tokenizer cannot be written beside this config.json: before work, not after it."""
    with TemporaryDirectory() as name:
        write_json(Path(name) / "config.json", config)
        write_tokenizer(source, Path(name))


def _open(folder: Path) -> Any:
    from transformers import AutoTokenizer  # slow to import, and not needed for the command line's help

    loaded = AutoTokenizer.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False, config=model_config(folder)
    )
    if not isinstance(getattr(loaded, "backend_tokenizer", None), Tokenizer):
        raise StackbertError(
            f"{type(loaded).__name__} runs in Python only, without the tokenizers library; convert it to tokenizer.json"
        )
    return loaded


def _reason(folder: Path, error: Exception) -> str:
    """What is wrong in a line, and what to do."""
    if "Couldn't instantiate the backend tokenizer" in str(error):
        found = ", ".join(name for name in found_files(folder) if name in VOCABULARY_FILES)
        path = folder / "tokenizer_config.json"
        named = json.loads(path.read_text("utf-8-sig")).get("tokenizer_class") if path.is_file() else None
        kind = (
            f"transformers has no fast tokenizer_class {named!r} that reads" if named else "nobody can tell the kind of"
        )
        return (
            f"{kind} {found} alone; add the checkpoint's config.json, or a tokenizer_config.json with its "
            "tokenizer_class, such as BertTokenizer"
        )
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _differences(expected: Any, folder: Path) -> list[str]:
    """The properties in which the tokenizer that `folder` gives differs from `expected`."""
    try:
        found = _open(folder)
    except Exception as error:  # as in load_tokenizer
        return [f"everything ({_reason(folder, error)})"]
    theirs, ours = _components(expected), _components(found)
    differing = [name for name in theirs if not _are_alike(theirs[name], ours[name])]
    names = (*SETTINGS, *(f"{role}_token_id" for role in ROLES))
    return differing + [name for name in names if getattr(expected, name) != getattr(found, name)]


def _components(loaded: Any) -> dict[str, Any]:
    """Vocabulary, normalizer and so on: all that turns a text into ids, and ids into text."""
    components: dict[str, Any] = json.loads(loaded.backend_tokenizer.to_str())
    return {name: value for name, value in components.items() if name not in ("version", "truncation", "padding")}


def _are_alike(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; the Rust library reads a number with an error in its last bit."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_alike, one, other))
    return bool(one == other)


def _write_plain(loaded: Any, source: Path, folder: Path) -> None:
    """Write `tokenizer.json`, and settings under which AutoTokenizer reads it as it is."""
    tokenizer = Tokenizer.from_str(loaded.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    path = source / "tokenizer_config.json"
    settings: dict[str, Any] = json.loads(path.read_text("utf-8-sig")) if path.is_file() else {}
    for name in ("auto_map", "added_tokens_decoder", "name_or_path", "vocab_file", "tokenizer_file"):
        settings.pop(name, None)
    settings |= {name: getattr(loaded, name) for name in SETTINGS if name != "model_max_length"}
    if loaded.model_max_length < UNLIMITED:
        settings["model_max_length"] = loaded.model_max_length
    settings |= {f"{role}_token": getattr(loaded, f"{role}_token") for role in ROLES}
    write_json(folder / "tokenizer_config.json", settings | {"tokenizer_class": GENERAL_CLASS})
