"""The one exception that people are meant to see."""

import difflib
from collections.abc import Iterable


class StackbertError(ValueError):
    """Wrong input: the text says what was wrong, where, and what to do; the command line prints just that."""


def require(fact: bool, otherwise: str) -> None:
    """Raise StackbertError with the text `otherwise` unless `fact` holds."""
    if not fact:
        raise StackbertError(otherwise)


def nearest_hint(name: str, names: Iterable[str]) -> str:
    """'; nearest is ...' for an error's text, or '' where nothing is near.

    >>> nearest_hint("pyhton", ["java", "python"])
    "; nearest is 'python'"
    """
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; nearest is {close[0]!r}" if close else ""
