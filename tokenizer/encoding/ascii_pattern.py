r"""Translates a pre-tokenizer's pattern from the Unicode syntax of the tokenizers library to Python's `re` for ASCII.

Python's `re` is faster and finds the words of many chunks in one pass over the chunks joined by line ends. This is
correct where both engines match the pattern alike and nothing in it matches a line end: then a line end acts like the
edge of a chunk.
"""

import re

ASCII_CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9", r"\p{M}": r"\x00"}  # NUL never occurs in printable text
ELEMENT = re.compile(r"\\p\{\w+\}|\\.|\[:|&&|\}\+|\[\^?|[\].^$]", re.DOTALL)


def narrow_to_ascii(pattern: str) -> str | None:
    r"""The pattern in Python's syntax, for printable ASCII chunks joined by line ends; None if it may not match alike.

    >>> print(narrow_to_ascii(r"\p{L}[\p{L}\p{M}_]*|\[|[^\s]"))
    [A-Za-z][A-Za-z\x00_]*|\[|[^\s]
    >>> narrow_to_ascii(r"\w+|[[:punct:]]")
    """
    # where case is ignored, non-ASCII letters may match ASCII ones
    if not pattern.isprintable() or (not pattern.isascii() and "(?i" in pattern):
        return None
    narrow, end, open_class, excludes_space = "", 0, "", True
    for found in ELEMENT.finditer(pattern):
        element = found[0]
        narrow += pattern[end : found.start()]
        end = found.end()
        if element in ASCII_CLASSES:
            narrow += ASCII_CLASSES[element] if open_class else f"[{ASCII_CLASSES[element]}]"
            continue
        if not _matches_alike(element, open_class):
            return None
        if element in ("[", "[^"):
            open_class, excludes_space = element, element == "["
        elif element == r"\s":
            excludes_space = True
        elif element == "]" and open_class:
            if not excludes_space:
                return None
            open_class = ""
        narrow += element
    return narrow + pattern[end:]


def _matches_alike(element: str, open_class: str) -> bool:
    """Whether both engines match `element` alike and never as a line end; `open_class` is "[", "[^" or "" (outside)."""
    if element == r"\s":
        return open_class == "[^"
    if element[0] == "\\":
        return not element[1].isalnum()
    if element in ("[", "[^"):
        return not open_class
    return element == "]" or (bool(open_class) and element in (".", "^", "$"))
