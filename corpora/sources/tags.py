"""Parses tags in the notations of dumps and tables."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

_ANGLE = re.compile(r"<([^<>]*+)>")
_QUOTED = re.compile(r"'([^']*+)'|\"([^\"]*+)\"")
_COMMAS = re.compile(r"[,;|]")


def parse_tags(value: Any) -> tuple[str, ...]:
    """Tags in their order, without repetitions.

    >>> parse_tags("<c#><linq>"), parse_tags("|c#|linq|"), parse_tags("['c#', 'linq']"), parse_tags("c# linq")
    (('c#', 'linq'), ('c#', 'linq'), ('c#', 'linq'), ('c#', 'linq'))
    """
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, Iterable):
        found = [str(item) for item in value if item is not None]
        return _unique(found)
    return ()  # None or NaN


@lru_cache(maxsize=4_096)  # a few sets of tags occur on many posts
def _parse_text(text: str) -> tuple[str, ...]:
    return _unique(_split(text.strip()))


def _unique(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in (item.strip() for item in found) if tag))


def _split(text: str) -> list[str]:
    if text.startswith("<"):
        return _ANGLE.findall(text)
    if text.startswith("["):
        return _split_list(text)
    return _COMMAS.split(text) if _COMMAS.search(text) else text.split()


def _split_list(text: str) -> list[str]:
    """The strings of a JSON list, or of a printed Python list."""
    try:
        return [str(item) for item in json.loads(text)]
    except (ValueError, RecursionError):
        return [single or double for single, double in _QUOTED.findall(text)]
