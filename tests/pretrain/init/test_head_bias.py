"""The bias of a new MLM head."""

from dataclasses import replace

import numpy as np
import pytest

from pretrain.init import head_bias
from pretrain.init.head_bias import with_calibrated_bias, with_unigram_bias
from pretrain.init.initial_checkpoint import build_initial_checkpoint
from pretrain.model.checkpoint import save_checkpoint
from tests.pretrain.runs import config
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import load_reader


@pytest.fixture
def inputs(small_rows):
    checkpoint = tiny_checkpoint("bert", 120, positions=32)
    return checkpoint, load_reader(small_rows / "tokenizer"), load_rows(small_rows / "rows", "train")


def test_unigram_bias_is_the_log_frequency(inputs):
    checkpoint, reader, rows = inputs
    bias = with_unigram_bias(checkpoint, reader, rows).weights["mlm/bias"]
    number = reader.tokenizer.token_to_id("mysql")
    counts = np.bincount(np.ravel(rows.ids), minlength=120)
    counts[list(reader.special_ids)] = 0
    assert bias[number] == pytest.approx(np.log((counts[number] + 1) / (counts + 1).sum()), rel=1e-5)


def test_mean_prediction_with_the_calibrated_bias_has_the_frequencies(inputs):
    checkpoint, reader, rows = inputs
    starts = [with_unigram_bias(checkpoint, reader, rows), with_calibrated_bias(checkpoint, reader, rows, seed=0)]
    logits = head_bias._masked_logits(checkpoint, reader, rows, seed=0)
    wanted = np.exp(starts[0].weights["mlm/bias"])
    errors = [np.abs(head_bias._mean_prediction(logits, each.weights["mlm/bias"]) - wanted).sum() for each in starts]
    assert errors[0] > 0.2
    assert errors[1] < 0.02
    assert starts[1].weights.keys() == starts[0].weights.keys()


def test_calibrated_bias_is_an_option_for_a_base_without_a_head(inputs, small_rows, tmp_path):
    checkpoint, reader, rows = inputs
    save_checkpoint(replace(checkpoint, has_mlm_head=False), small_rows / "tokenizer", tmp_path)
    (plain, _), (calibrated, notes) = (
        build_initial_checkpoint(config(base=str(tmp_path), head_bias=each), reader, rows)
        for each in ("frequencies", "calibrated")
    )
    differing = [name for name in plain.weights if not np.array_equal(plain.weights[name], calibrated.weights[name])]
    assert differing == ["mlm/bias"]
    assert notes[-1] == "its bias is such that the mean prediction has the frequencies of tokens"
