"""Checks of the JSON files beside a vocabulary, whose wrong values transformers reports without their name, or not."""

import json
from pathlib import Path
from typing import Any

from stackbert.core.errors import StackbertError, require

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "tokenizer_class": ((str, type(None)), "the name of a class, such as BertTokenizer"),
    "do_lower_case": ((bool,), "true or false"),
    "model_max_length": ((int, float, type(None)), "a number"),
    "added_tokens_decoder": ((dict,), "an object that gives ids their tokens"),
}
"""Field of tokenizer_config.json -> types of its value, and in words."""


def check_settings(path: Path) -> None:
    """Raise StackbertError where a JSON file of a tokenizer is none, or has values that cannot be."""
    content = path.read_bytes()
    require(
        not content.startswith(BYTE_ORDER_MARK),
        f"{path}: begins with a byte order mark, which transformers does not read; save the file without it",
    )
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise StackbertError(
            f"{path}: its tokenizer cannot be loaded: not JSON: {error}; copy the file again"
        ) from None
    kind = type(found).__name__
    require(isinstance(found, dict), f"{path}: its tokenizer cannot be loaded: holds a {kind}, not an object")
    if path.name == "tokenizer_config.json":
        _check_kinds(found, path)
    elif path.name == "added_tokens.json":
        for token, number in found.items():
            _require_id(token, number, path)


def _check_kinds(settings: dict[str, Any], path: Path) -> None:
    for name, (types, words) in KINDS.items():
        value = settings.get(name, False if bool in types else types[0]())
        is_right = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        require(is_right, f"{path}: {name} is {json.dumps(value)[:40]}; it must be {words}")
    for number, token in settings.get("added_tokens_decoder", {}).items():
        text = token.get("content") if isinstance(token, dict) else token
        if not isinstance(text, str):
            raise StackbertError(
                f"{path}: added_tokens_decoder gives the id {number!r} no token: {json.dumps(token)[:40]}; copy the "
                "file again"
            )
        _require_id(text, number, path)


def _require_id(token: str, number: Any, path: Path) -> None:
    is_id = isinstance(number, int | str) and not isinstance(number, bool) and str(number).isdecimal()
    require(is_id, f"{path}: gives the token {token!r} the id {json.dumps(number)[:40]}; ids are whole numbers from 0")
