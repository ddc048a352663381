"""A corpus of random posts, and a vocabulary trained on it."""

from pathlib import Path

import pytest

from tests.tokenizer.made_corpus import random_posts, write_corpus
from tokenizer.config import TokenizerConfig
from tokenizer.vocabulary.train import train_tokenizer


@pytest.fixture(scope="session")
def posts(tmp_path_factory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("posts") / "corpus", random_posts())


@pytest.fixture(scope="session")
def trained(posts, tmp_path_factory) -> Path:
    """A WordPiece vocabulary of at most 200 tokens."""
    out = tmp_path_factory.mktemp("trained") / "tokenizer"
    train_tokenizer(posts, out, TokenizerConfig(vocab_size=200))
    return out
