"""The benchmark encodes the same text with both libraries and prints the speeds in pairs."""

import pytest

from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from tokenizer.config import EncodeBenchConfig
from tokenizer.encoding.reader import TextReader
from tokenizer.report.bench import bench_encoding


@pytest.fixture(autouse=True)
def _parallelism(monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")  # the benchmark sets it; this restores it


def test_speeds_are_printed_for_each_pair_and_their_median(small_rows, capsys):
    base = resolve_base("minilm")
    found = bench_encoding(small_rows / "corpus", base, base, EncodeBenchConfig(megabytes=1, pairs=3))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0.0 MB of text")
    assert [line.split(":")[0] for line in lines[1:]] == ["pair 1", "pair 2", "pair 3", "median"]
    middle = sorted(speeds.ids for speeds in found)[1]
    assert f"ours to ids {middle:.2f}" in lines[-1]


def test_base_without_a_tokenizer_is_an_error(small_rows, tmp_path):
    with pytest.raises(StackbertError, match="holds no tokenizer"):
        bench_encoding(small_rows / "corpus", small_rows / "tokenizer", tmp_path, EncodeBenchConfig())


def test_ids_that_differ_from_transformers_are_an_error(small_rows, monkeypatch):
    base = resolve_base("minilm")
    monkeypatch.setattr(TextReader, "ids_without_specials", lambda *_: iter([[1]]))
    with pytest.raises(StackbertError, match="our ids differ"):
        bench_encoding(small_rows / "corpus", base, base, EncodeBenchConfig())
