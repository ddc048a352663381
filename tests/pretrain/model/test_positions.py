"""Checkpoints that read longer texts than their base."""

import numpy as np
import pytest
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.init.initial_checkpoint import build_initial_checkpoint
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint, with_positions
from pretrain.model.encoder import Encoder
from pretrain.model.layers import restarting_positions
from stackbert.core.errors import StackbertError
from tests.pretrain.tiny import CONFIGS, POSITIONS, tiny_checkpoint
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import load_reader


@pytest.mark.parametrize("family", [family for family in CONFIGS if family != "modernbert"])
def test_first_positions_stay_and_further_ones_repeat_them(family, tmp_path):
    base = tiny_checkpoint(family)
    longer = with_positions(base, 50)
    first, read = base.architecture.first_position, base.architecture.max_length
    assert longer.architecture.max_length == 50
    old, new = base.weights["embeddings/position"], longer.weights["embeddings/position"]
    np.testing.assert_array_equal(new[:POSITIONS], old)
    np.testing.assert_array_equal(new[first + read : first + 2 * read], old[first:])
    save_checkpoint(longer, tmp_path, tmp_path)
    assert load_checkpoint(tmp_path).architecture == longer.architecture


@pytest.mark.parametrize("family", CONFIGS)
def test_short_texts_are_read_as_before(family):
    base = tiny_checkpoint(family)
    ids, mask = tf.constant([[7, 9, 30, 8]]), tf.ones((1, 4), tf.int32)
    before, after = (
        Encoder(checkpoint.architecture, checkpoint.weights).hidden(ids, mask).numpy()
        for checkpoint in (base, with_positions(base, 50))
    )
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("tokens", [1, 2, 7, 64, 65])
def test_positions_restart_with_each_segment(tokens):
    segments = np.cumsum(np.random.default_rng(tokens).uniform(size=(3, tokens)) < 0.2, axis=1).astype(np.int32)
    expected = [[tokens_before(row, index) for index in range(tokens)] for row in segments]
    np.testing.assert_array_equal(restarting_positions(tf.constant(segments)).numpy(), expected)


def tokens_before(row: np.ndarray, index: int) -> int:
    return int(np.count_nonzero(row[:index] == row[index]))


def test_rotary_positions_need_no_table(tmp_path):
    longer = with_positions(tiny_checkpoint("modernbert"), 50)
    assert longer.architecture.max_length == 50
    save_checkpoint(longer, tmp_path, tmp_path)
    assert load_checkpoint(tmp_path).architecture == longer.architecture


def test_rows_longer_than_the_base_allows_are_refused_unless_positions_are_extended(small_rows, tiny_base):
    reader, rows = load_reader(small_rows / "tokenizer"), load_rows(small_rows / "rows", "train")
    config = PretrainConfig(base=str(tiny_base))
    with pytest.raises(StackbertError, match=r"rows of 32 tokens, but the base reads 20 at most.*extend_positions"):
        build_initial_checkpoint(config, reader, rows)
    start, notes = build_initial_checkpoint(PretrainConfig(base=str(tiny_base), extend_positions=True), reader, rows)
    assert start.architecture.max_length == 32
    assert any("positions from 20 on start from copies" in note for note in notes)
