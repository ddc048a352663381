r"""A splitter's pattern, written for Unicode and the tokenizers library, as Python reads it over ASCII text.

Python's `re` is the quicker one and finds the words of many chunks in one pass, a line end between each two. That is
sound where the pattern is read alike in both, and where nothing in it can match a line end: then a line end is to it
what the chunk's own edge is.
"""

import re

ASCII_CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9", r"\p{M}": r"\x00"}  # NUL: printable text holds none
PART = re.compile(r"\\p\{\w+\}|\\.|\[:|&&|\}\+|\[\^?|[\].^$]", re.DOTALL)


def narrow_to_ascii(pattern: str) -> str | None:
    r"""The pattern for Python, for printable ASCII with line ends between chunks; None where that might be unsound.

    >>> print(narrow_to_ascii(r"\p{L}[\p{L}\p{M}_]*|\[|[^\s]"))
    [A-Za-z][A-Za-z\x00_]*|\[|[^\s]
    >>> narrow_to_ascii(r"\w+|[[:punct:]]")
    """
    # where case is ignored, letters beyond ASCII may be equal to letters within
    if not pattern.isprintable() or (not pattern.isascii() and "(?i" in pattern):
        return None
    narrow, end, opened, excludes_space = "", 0, "", True
    for found in PART.finditer(pattern):
        part = found[0]
        narrow += pattern[end : found.start()]
        end = found.end()
        if part in ASCII_CLASSES:
            narrow += ASCII_CLASSES[part] if opened else f"[{ASCII_CLASSES[part]}]"
            continue
        if not _is_read_alike(part, opened):
            return None
        if part in ("[", "[^"):
            opened, excludes_space = part, part == "["
        elif part == r"\s":
            excludes_space = True
        elif part == "]" and opened:
            if not excludes_space:
                return None
            opened = ""
        narrow += part
    return narrow + pattern[end:]


def _is_read_alike(part: str, opened: str) -> bool:
    """Whether both engines read `part` alike, and as nothing that a line end is; `opened` is the class around it."""
    if part == r"\s":
        return opened == "[^"
    if part[0] == "\\":
        return not part[1].isalnum()
    if part in ("[", "[^"):
        return not opened
    return part == "]" or (bool(opened) and part in (".", "^", "$"))
