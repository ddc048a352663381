"""The starts that a new vocabulary can be given."""

import math

import pytest

from pretrain.config import PretrainConfig
from pretrain.measure.compare_starts import INITIALISERS, Start, measure_starts, starts_table
from pretrain.run import pretrain
from stackbert.core.errors import StackbertError
from tokenizer.config import EncodeConfig, TokenizerConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.vocabulary.train import train_tokenizer


def test_each_start_is_measured_as_the_run_measures_its_own(small_rows, tiny_base, tmp_path):
    new, rows = tmp_path / "vocabulary", tmp_path / "rows"
    train_tokenizer(small_rows / "corpus", new, TokenizerConfig(vocab_size=100))
    encode_rows(small_rows / "corpus", new, rows, EncodeConfig(row_length=16, validation_share=0.1))
    config = PretrainConfig(base=str(tiny_base), batch_rows=8, tokens=1, evaluations=0, precision="float32")
    starts = {start.transfer: start for start in measure_starts(rows, new, config)}
    assert tuple(starts) == INITIALISERS
    before = pretrain(rows, new, tmp_path / "run", config).counts["held_out_before"]
    assert starts[config.transfer].loss == pytest.approx(before["loss"], rel=1e-6)
    assert starts[config.transfer].bits_per_byte == pytest.approx(before["bits_per_byte"], rel=1e-6)
    assert all(math.isfinite(start.loss) for start in starts.values())


def test_rows_of_another_tokenizer_are_refused(small_rows, tiny_base, tmp_path):
    train_tokenizer(small_rows / "corpus", tmp_path / "other", TokenizerConfig(vocab_size=100))
    with pytest.raises(StackbertError, match="encoded with another tokenizer"):
        next(measure_starts(small_rows / "rows", tmp_path / "other", PretrainConfig()))


def test_table_marks_the_best():
    starts = [Start("mean", 5.0, 0.1, 2.5, ()), Start("random", 6.0, 0.05, 3.0, ())]
    assert [line.split() for line in starts_table(starts).splitlines()] == [
        ["start", "loss", "accuracy", "bits", "a", "byte"],
        ["mean", "5.000", "0.100", "2.500", "best"],
        ["random", "6.000", "0.050", "3.000"],
    ]
