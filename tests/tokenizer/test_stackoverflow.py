"""On real questions, the words that matter are one token each."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpora.build import build_corpus
from corpora.config import CorpusConfig, LabelConfig
from corpora.labels import build_labels
from tokenizer.config import TokenizerConfig
from tokenizer.reader import load_reader
from tokenizer.vocabulary import train_tokenizer

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "so"
TERMS = ("mysql", "node.js", "c++", "c#", ".net", "asp.net", "postgresql", "numpy")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory) -> Path:
    for name in ("titles", "questions"):
        if not (SAMPLES / f"{name}.parquet").exists():
            pytest.skip(f"the sample {name}.parquet is not here")
    folder = tmp_path_factory.mktemp("stackoverflow")
    columns = {"id_column": "id", "title_column": "title", "tags_column": "tags"}
    pq.write_table(pq.read_table(SAMPLES / "titles.parquet").slice(0, 60_000), folder / "titles.parquet")
    pq.write_table(pq.read_table(SAMPLES / "questions.parquet").slice(0, 3_000), folder / "questions.parquet")
    for name, further in (("titles", {}), ("questions", {"body_column": "body"})):
        config = CorpusConfig(source="table", path=f"{name}.parquet", processes=1, **columns, **further)
        build_corpus(folder / name, config, folder)
    build_labels([folder / "questions", folder / "titles"], folder / "labels", LabelConfig())
    train_tokenizer(folder / "labels", folder / "tokenizer", TokenizerConfig())
    return folder / "tokenizer"


def test_terms_are_one_token_each_in_running_text(vocabulary):
    reader = load_reader(vocabulary)
    assert reader.vocab_size == 16_000
    for term in TERMS:
        for text in (f"I use {term}, and ({term}) works.", f"Why {term.upper()}? {term.title()}!"):
            tokens = reader.tokenizer.encode(text, add_special_tokens=False).tokens
            assert tokens.count(term) == 2, tokens
