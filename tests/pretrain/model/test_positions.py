"""Checkpoints that read longer texts than their base."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.init.initial_checkpoint import build_initial_checkpoint
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, with_positions, with_vocabulary
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


def with_uncounted_tokens() -> tuple[Checkpoint, np.ndarray]:
    """An MPNet of a vocabulary that has an ordinary token where its class in transformers has the padding."""
    base = tiny_checkpoint("mpnet")
    weights = base.weights["embeddings/word"], base.weights["mlm/bias"]
    return with_vocabulary(base, *weights, {"pad_token_id": 0}), np.array([7, 1, 9, 30, 1, 8, 12], np.int32)


def test_tokens_that_mpnet_does_not_count_are_counted_neither_alone_nor_packed():
    checkpoint, text = with_uncounted_tokens()
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    row, segments = np.concatenate([text[:5], text])[None], np.array([[1] * 5 + [2] * 7], np.int32)
    packed = encoder.hidden(tf.constant(row), tf.constant(segments)).numpy()[0]
    alone = encoder.hidden(tf.constant(text[None]), tf.ones((1, 7), tf.int32)).numpy()[0]
    np.testing.assert_allclose(packed[5:], alone, atol=1e-5)


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_tokens_that_mpnet_does_not_count_have_the_states_of_transformers(tmp_path):
    import torch
    from transformers import AutoModel

    checkpoint, text = with_uncounted_tokens()
    save_checkpoint(checkpoint, tmp_path, tmp_path)
    with torch.no_grad():
        theirs = AutoModel.from_pretrained(tmp_path)(torch.tensor(text[None]).long()).last_hidden_state.numpy()
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    ours = encoder.hidden(tf.constant(text[None]), tf.ones((1, 7), tf.int32)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_rows_longer_than_the_base_allows_are_refused_unless_positions_are_extended(small_rows, tiny_base):
    reader, rows = load_reader(small_rows / "tokenizer"), load_rows(small_rows / "rows", "train")
    config = PretrainConfig(base=str(tiny_base))
    with pytest.raises(StackbertError, match=r"rows of 32 tokens, but the base reads 20 at most.*extend_positions"):
        build_initial_checkpoint(config, reader, rows)
    start, notes = build_initial_checkpoint(PretrainConfig(base=str(tiny_base), extend_positions=True), reader, rows)
    assert start.architecture.max_length == 32
    assert any("positions from 20 on start from copies" in note for note in notes)
