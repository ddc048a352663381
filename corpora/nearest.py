"""The name that was probably meant."""

import difflib
from collections.abc import Iterable


def nearest_hint(name: str, names: Iterable[str]) -> str:
    """'; nearest is ...' for an error's text, or '' where nothing is near.

    >>> nearest_hint("pyhton", ["java", "python"])
    "; nearest is 'python'"
    """
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; nearest is {close[0]!r}" if close else ""
