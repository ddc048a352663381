"""A small corpus, vocabulary, packed rows and base checkpoint, written for the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.post import Post
from pretrain.model.checkpoint import save_checkpoint
from tests.disks import small_disk
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.made_corpus import write_corpus
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.vocabulary.train import train_tokenizer

WORDS = "connect mysql from node.js to a list in c++ or sort the rows of table with numpy and print them".split()


def small_posts() -> list[Post]:
    return [
        Post(
            f"{n}", "question", " ".join(WORDS[(n * 7 + k * (n % 5 + 1)) % len(WORDS)] for k in range(12)), "", ("c++",)
        )
        for n in range(400)
    ]


@pytest.fixture(scope="session")
def small_rows(tmp_path_factory) -> Path:
    """A folder with 'corpus', 'tokenizer' and 'rows'."""
    folder = tmp_path_factory.mktemp("small")
    write_corpus(folder / "corpus", small_posts())
    train_tokenizer(folder / "corpus", folder / "tokenizer", TokenizerConfig(vocab_size=120))
    config = EncodeConfig(row_length=32, validation_share=0.1)
    encode_rows(folder / "corpus", folder / "tokenizer", folder / "rows", config)
    return folder


@pytest.fixture(scope="session")
def tiny_base(small_rows, tmp_path_factory) -> Path:
    """A tiny BERT with random weights, the small vocabulary and 20 positions."""
    folder = tmp_path_factory.mktemp("base")
    save_checkpoint(tiny_checkpoint("bert", vocab_size=120), small_rows / "tokenizer", folder)
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk for tests that fill it; tests.disks.resize changes its size."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder
