"""What the tests of texts with targets share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tokenizer(small_rows) -> Path:
    """The small tokenizer that the rows of targets are encoded with."""
    return small_rows / "tokenizer"
