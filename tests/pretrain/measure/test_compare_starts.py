"""Initialisations of a new vocabulary, compared by their validation loss."""

import math
import shutil

import pytest

from pretrain.config import PretrainConfig
from pretrain.measure.compare_starts import METHODS, StartResult, compare_starts, format_comparison
from pretrain.model.checkpoint import save_checkpoint
from pretrain.run import run_pretraining
from stackbert.core.errors import StackbertError
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.config import TokenizerConfig
from tokenizer.vocabulary.train import train_tokenizer


def test_each_method_is_validated_as_a_run_validates_its_own(small_rows, letters_base, tmp_path):
    rows, new = small_rows / "rows", small_rows / "tokenizer"
    config = PretrainConfig(base=str(letters_base), batch_rows=8, tokens=1, evaluations=0, precision="float32")
    results = {result.transfer: result for result in compare_starts(rows, new, config)}
    assert tuple(results) == METHODS
    before = run_pretraining(rows, new, tmp_path / "run", config).counts["validation_before"]
    assert results[config.transfer].loss == pytest.approx(before["loss"], rel=1e-6)
    assert results[config.transfer].bits_per_byte == pytest.approx(before["bits_per_byte"], rel=1e-6)
    assert all(math.isfinite(result.loss) for result in results.values())
    distances = {name: result.text_distance for name, result in results.items()}
    assert 0 < distances["distill"] < distances["mean"]


def test_base_with_its_own_vocabulary_reads_texts_as_itself(tmp_path, small_rows):
    shutil.copytree(small_rows / "tokenizer", tmp_path / "base")
    save_checkpoint(tiny_checkpoint("bert", 120, positions=32), small_rows / "tokenizer", tmp_path / "base")
    config = PretrainConfig(base=str(tmp_path / "base"), batch_rows=8, precision="float32")
    for result in compare_starts(small_rows / "rows", small_rows / "tokenizer", config):
        assert result.text_distance == pytest.approx(0, abs=1e-5)


def test_random_base_has_no_text_vectors_to_compare_with(small_rows):
    config = PretrainConfig(base="random-tiny", batch_rows=8, precision="float32")
    assert next(compare_starts(small_rows / "rows", small_rows / "tokenizer", config)).text_distance is None


def test_rows_of_another_tokenizer_are_refused(small_rows, tiny_base, tmp_path):
    train_tokenizer(small_rows / "corpus", tmp_path / "other", TokenizerConfig(vocab_size=100))
    with pytest.raises(StackbertError, match="encoded with another tokenizer"):
        next(compare_starts(small_rows / "rows", tmp_path / "other", PretrainConfig()))


def test_table_marks_the_best_below_the_notes():
    results = [
        StartResult("mean", 5.0, 0.1, 2.5, ("a new head",)),
        StartResult("random", 6.0, 0.05, 3.0, ("a new head",)),
    ]
    assert [line.split() for line in format_comparison(results).splitlines()] == [
        ["a", "new", "head"],
        [],
        ["transfer", "loss", "accuracy", "bits", "per", "byte"],
        ["mean", "5.000", "0.100", "2.500", "best"],
        ["random", "6.000", "0.050", "3.000"],
    ]


def test_table_has_the_distance_of_text_vectors_where_there_is_one():
    results = [StartResult("mean", 5.0, 0.1, 2.5, (), 0.25), StartResult("distill", 6.0, 0.05, 3.0, (), 0.125)]
    assert [line.split() for line in format_comparison(results).splitlines()] == [
        [],
        ["transfer", "loss", "accuracy", "bits", "per", "byte", "text", "distance"],
        ["mean", "5.000", "0.100", "2.500", "0.2500", "best"],
        ["distill", "6.000", "0.050", "3.000", "0.1250"],
    ]
