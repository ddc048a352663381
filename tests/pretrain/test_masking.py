"""Which tokens are masked, and with what."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from pretrain.masking import Masker
from pretrain.randomness import stream

VOCAB_SIZE, SPECIALS, MASK = 60, (0, 1, 2, 3, 4), 4
ROWS, LENGTH = 512, 100


def rows_with_pads_and_specials() -> tuple[np.ndarray, np.ndarray]:
    """Rows of two packed texts of 40 tokens between [CLS] and [SEP], then padding."""
    generator = np.random.default_rng(5)
    text = generator.integers(5, VOCAB_SIZE, (ROWS, 2, 40))
    ids = np.zeros((ROWS, LENGTH), np.int32)
    segments = np.zeros((ROWS, LENGTH), np.int32)
    for number, start in enumerate((0, 42)):
        ids[:, start], ids[:, start + 41] = 2, 3
        ids[:, start + 1 : start + 41] = text[:, number]
        segments[:, start : start + 42] = number + 1
    return ids, segments


def masked_many(steps: int):
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15)
    ids, segments = rows_with_pads_and_specials()
    mask = tf.function(masker.mask)
    for step in range(steps):
        yield ids, segments, mask(tf.constant(ids), tf.constant(segments), stream(0, "mask", step))


def test_rates_over_a_million_tokens_and_uniform_random_words():
    maskable = chosen = 0
    kinds = np.zeros(3, int)
    words = np.zeros(VOCAB_SIZE, int)
    for ids, segments, batch in masked_many(25):
        ordinary = (segments > 0) & ~np.isin(ids, SPECIALS)
        used = batch.weights_BP.numpy() > 0
        seen = np.take_along_axis(batch.ids_BT.numpy(), batch.positions_BP.numpy(), 1)[used]
        targets = batch.targets_BP.numpy()[used]
        maskable += ordinary.sum()
        chosen += used.sum()
        drawn = (seen != MASK) & (seen != targets)
        kinds += [(seen == MASK).sum(), drawn.sum(), (seen == targets).sum()]
        words += np.bincount(seen[drawn], minlength=VOCAB_SIZE)
    assert maskable >= 1_000_000
    assert chosen / maskable == pytest.approx(0.15, abs=0.001)
    ordinary_words = VOCAB_SIZE - len(SPECIALS)
    by_chance = 0.1 / ordinary_words  # a random word that happens to be the token itself counts as kept
    np.testing.assert_allclose(kinds / chosen, [0.8, 0.1 - by_chance, 0.1 + by_chance], atol=0.003)
    assert words[list(SPECIALS)].sum() == 0
    assert stats.chisquare(words[len(SPECIALS) :]).pvalue > 1e-4
    print(f"masked {chosen / maskable:.4%}; mask/random/same {kinds / chosen}")


def test_specials_and_padding_are_never_touched():
    for ids, segments, batch in masked_many(3):
        changed = batch.ids_BT.numpy() != ids
        assert not changed[(segments == 0) | np.isin(ids, SPECIALS)].any()
        used = batch.weights_BP.numpy() > 0
        positions = batch.positions_BP.numpy()
        for row in range(ROWS):
            assert len(set(positions[row][used[row]])) == used[row].sum()
        targets = np.take_along_axis(ids, positions, 1)
        np.testing.assert_array_equal(batch.targets_BP.numpy(), targets)


def test_row_without_ordinary_tokens_has_nothing_to_guess():
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15)
    ids = tf.constant([[2, 3, 0, 0], [2, 9, 3, 0]])
    batch = masker.mask(ids, tf.constant([[1, 1, 0, 0], [1, 1, 1, 0]]), stream(0, "mask"))
    assert batch.weights_BP.numpy().sum(1).tolist() == [0, 1]
    assert batch.ids_BT.numpy()[0].tolist() == [2, 3, 0, 0]


def test_eager_graph_tf_data_and_xla_give_equal_batches():
    masker = Masker(VOCAB_SIZE, SPECIALS, MASK, rate=0.15)
    ids, segments = (tf.constant(array[:8]) for array in rows_with_pads_and_specials())

    def at(step):
        return masker.mask(ids, segments, stream(3, "mask", step))

    expected = at(7)
    others = [
        tf.function(at)(tf.constant(7)),
        tf.function(at, jit_compile=True)(tf.constant(7)),
        next(iter(tf.data.Dataset.range(7, 8).map(at))),
    ]
    for other in others:
        for one, two in zip(expected, other, strict=True):
            np.testing.assert_array_equal(one.numpy(), two.numpy())
