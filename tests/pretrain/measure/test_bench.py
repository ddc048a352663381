"""Timing of a training step."""

from dataclasses import replace

import pytest

from pretrain.measure.bench import run_bench
from pretrain.measure.config import BenchConfig
from stackbert.core.errors import StackbertError

TINY = BenchConfig(model="2x32", vocab_size=100, row_length=16, batch_rows=4, steps=2, precision="float32")


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """The ceiling is measured with small products: its value is not tested."""
    monkeypatch.setattr("pretrain.measure.products.LARGE", (256, 256, 256))
    monkeypatch.setattr("pretrain.measure.products.REPEATS", 1)


def test_random_rows_are_timed_without_padding():
    result = run_bench(TINY)
    assert result.tokens_per_second == pytest.approx(64 / result.step_seconds)
    assert result.padding_share == 0
    assert result.text_bytes_per_second is None
    assert 0 < result.ceiling_share < 1
    # 64 tokens of width 32, 12 masked positions; for the others the upper layer computes keys and values only
    lower = 64 * 32 * (3 * 32 + 32 + 2 * 128) + 2 * 64 * 16 * 32
    upper = 64 * 32 * 2 * 32 + 12 * 32 * (32 + 32 + 2 * 128) + 2 * 12 * 16 * 32
    assert result.step_flop == 3 * 2 * (lower + upper + 12 * 32 * (32 + 100))  # backward is twice forward


def test_device_is_the_configured_one():
    result = run_bench(replace(TINY, device="cpu"))
    assert [name.rpartition("/")[2] for name in result.devices] == ["device:CPU:0"]
    assert "/device:CPU:0, float32" in str(result)


def test_packed_rows_tell_bytes_of_text(small_rows):
    result = run_bench(replace(TINY, model="1x32", vocab_size=120, steps=1), small_rows / "rows")
    assert result.text_bytes_per_second > result.tokens_per_second  # a token is more than a byte
    assert "kB of text/s" in str(result)


def test_vocabulary_that_does_not_fit_and_unknown_model(small_rows):
    with pytest.raises(StackbertError, match=r"ids up to \d+, but the model's vocabulary has 20"):
        run_bench(BenchConfig(model="1x32", vocab_size=20, batch_rows=2, steps=1), small_rows / "rows")
    with pytest.raises(StackbertError, match="multiple of 32"):
        run_bench(BenchConfig(model="1x33"))
    with pytest.raises(StackbertError, match="rows of 1024 tokens: random-tiny reads 512 at most"):
        run_bench(BenchConfig(model="random-tiny", row_length=1024))
