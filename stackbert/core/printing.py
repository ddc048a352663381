"""Formats text for pages, Markdown and the terminal."""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any


def printable(value: Any) -> Any:
    """The value with control, format and surrogate characters removed from every string in it.

    >>> printable({"na\\x1b[1mme": ["a\\nb", 1]})
    {'na[1mme': ['a b', 1]}
    """
    if isinstance(value, str):
        return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in value)
    if isinstance(value, dict):
        return {printable(name): printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value


def escape_markdown(text: str) -> str:
    """Escape a text so that a Markdown table shows it verbatim.

    >>> escape_markdown("a|b <i> my_model *x*")
    'a\\\\|b &lt;i&gt; my_model \\\\*x\\\\*'
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[\\`*\[\]|~$!#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", text)


def markdown_lines(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its cells must already be escaped."""
    table = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def columns(text: str) -> int:
    """Width of a text in terminal columns: two for East Asian wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )


def fit(text: str, width: int) -> str:
    """The text in exactly `width` columns, padded or cut in the middle, because similar names often differ at the end.

    >>> fit("adapted, new vocabulary", 13), fit("base", 6)
    ('adapte…bulary', 'base  ')
    """
    if columns(text) > width:
        start, end = text[: len(text) // 2], text[len(text) // 2 :]
        while columns(start) + columns(end) > width - 1:
            start, end = (start[:-1], end) if columns(start) >= columns(end) else (start, end[1:])
        text = f"{start}…{end}"
    return text + " " * (width - columns(text))


def plain(value: Any) -> str:
    """A configuration value as text."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool | None) else str(value)
