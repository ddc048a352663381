"""The one exception that people are meant to see."""


class StackbertError(ValueError):
    """Wrong input: the text says what was wrong, where, and what to do; the command line prints just that."""


def require(fact: bool, otherwise: str) -> None:
    """Raise StackbertError with the text `otherwise` unless `fact` holds."""
    if not fact:
        raise StackbertError(otherwise)
