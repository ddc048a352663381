"""Batches are functions of (seed, step)."""

import numpy as np
import tensorflow as tf

from pretrain.objectives.masked_lm import Masker
from pretrain.randomness import GENERATOR, stream
from pretrain.train.batches import TrainingBatches, held_out_batches
from tokenizer.encoding.packed_rows import PackedRows

ROWS, LENGTH = 37, 12


def some_rows() -> PackedRows:
    ids = np.random.default_rng(1).integers(5, 50, (ROWS, LENGTH)).astype(np.uint16)
    ids[:, 0], ids[:, -1] = 2, 3
    return PackedRows(ids, first_id=2, padding_id=0, text_bytes=100, text_tokens=50)


def batches(seed: int = 0, batch_rows: int = 5) -> TrainingBatches:
    return TrainingBatches(some_rows(), Masker(50, (0, 1, 2, 3, 4), 4, 0.2), batch_rows, seed)


def test_every_row_is_read_once_an_epoch_in_an_order_that_changes():
    source = batches()
    numbers = np.concatenate([source.row_numbers(tf.constant(step)).numpy() for step in range(2 * ROWS)])
    epochs = numbers[: 2 * 5 * ROWS // 5 * 5].reshape(-1, ROWS)
    for epoch in epochs:
        assert sorted(epoch) == list(range(ROWS))
    assert epochs[0].tolist() != epochs[1].tolist()


def test_order_is_each_epochs_own_permutation():
    """As the whole-number function says it, one row at a time: the order of a stopped run must not change."""
    places, many = np.arange(7 * 100, 7 * 100 + 100), batches(batch_rows=100)
    key_2, one_by_one = stream(0, "order")[:2], []
    for place in places:
        seed_2 = tf.random.experimental.stateless_fold_in(key_2, tf.constant(place // ROWS, tf.int32), alg=GENERATOR)
        one_by_one.append(int(tf.random.experimental.index_shuffle(place % ROWS, seed_2, ROWS - 1)))
    assert many.row_numbers(tf.constant(7)).numpy().tolist() == one_by_one


def test_starting_later_gives_the_same_batches():
    straight = list(batches().from_step(0, 9))
    later = list(batches().from_step(4, 9))
    for one, two in zip(straight[4:], later, strict=True):
        for left, right in zip(one, two, strict=True):
            np.testing.assert_array_equal(left.numpy(), right.numpy())


def test_seed_changes_order_and_masks():
    one, two = (next(iter(batches(seed).from_step(0, 1))) for seed in (0, 1))
    assert not np.array_equal(one.targets_BP.numpy(), two.targets_BP.numpy())


def test_held_out_rows_are_all_measured_and_filling_is_not():
    masker = Masker(50, (0, 1, 2, 3, 4), 4, 0.2)
    parts = held_out_batches(some_rows(), masker, batch_rows=8, most_rows=20)
    assert [part.ids_BT.shape for part in parts] == [(8, LENGTH)] * 3
    assert parts[2].weights_BP.numpy()[4:].sum() == 0
    assert (parts[2].weights_BP.numpy()[:4].sum(1) > 0).all()


def test_held_out_masks_are_the_same_whatever_the_batch():
    masker = Masker(50, (0, 1, 2, 3, 4), 4, 0.2)
    targets = [
        np.concatenate([part.targets_BP for part in held_out_batches(some_rows(), masker, batch_rows, ROWS)])[:ROWS]
        for batch_rows in (5, 16)
    ]
    np.testing.assert_array_equal(*targets)
