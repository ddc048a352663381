"""StackbertError for wrong input, and helpers that raise it and complete its text."""

import difflib
from collections.abc import Iterable


class StackbertError(ValueError):
    """Wrong input. The text says what is wrong, where, and what to do; the command line prints nothing else."""


class ArtifactError(StackbertError):
    """An output folder is damaged, has another configuration or inputs, cannot be made, or is being written by another
    process."""


def require(condition: bool, message: str) -> None:
    """Raise StackbertError with `message` unless `condition` holds."""
    if not condition:
        raise StackbertError(message)


def nearest_hint(name: str, names: Iterable[str]) -> str:
    """The end of an error's text that suggests the most similar of `names`; empty if none is similar.

    >>> nearest_hint("pyhton", ["java", "python"])
    "; nearest is 'python'"
    """
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; nearest is {close[0]!r}" if close else ""
