"""The one exception that people are meant to see."""


class StackbertError(ValueError):
    """Wrong input: the text says what was wrong, where, and what to do; the command line prints just that."""
