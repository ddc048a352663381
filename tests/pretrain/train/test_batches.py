"""Batches are functions of seed, step and row."""

import numpy as np
import tensorflow as tf

from pretrain.randomness import GENERATOR, stream
from pretrain.train.batches import validation_batches
from tests.pretrain.sample_rows import LENGTH, MASKER, ROWS, batches, some_rows


def test_every_row_is_read_once_an_epoch_in_an_order_that_changes():
    source = batches()
    numbers = np.concatenate([source.row_numbers(tf.constant(step)).numpy() for step in range(2 * ROWS)])
    epochs = numbers[: 2 * 5 * ROWS // 5 * 5].reshape(-1, ROWS)
    for epoch in epochs:
        assert sorted(epoch) == list(range(ROWS))
    assert epochs[0].tolist() != epochs[1].tolist()


def test_order_is_each_epochs_own_permutation():
    """Computed one row at a time: the order of a resumed run must not change."""
    indices, many = np.arange(7 * 100, 7 * 100 + 100), batches(batch_rows=100)
    key_2, one_by_one = stream(0, "order")[:2], []
    for index in indices:
        seed_2 = tf.random.experimental.stateless_fold_in(key_2, tf.constant(index // ROWS, tf.int32), alg=GENERATOR)
        one_by_one.append(int(tf.random.experimental.index_shuffle(index % ROWS, seed_2, ROWS - 1)))
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


def test_validation_rows_are_all_measured_and_padding_rows_are_not():
    found = validation_batches(some_rows(), MASKER.mask, batch_rows=8, max_rows=20)
    assert [batch.ids_BT.shape for batch in found] == [(8, LENGTH)] * 3
    assert found[2].weights_BP.numpy()[4:].sum() == 0
    assert (found[2].weights_BP.numpy()[:4].sum(1) > 0).all()


def test_validation_masks_do_not_depend_on_the_batch_size():
    targets = [
        np.concatenate([batch.targets_BP for batch in validation_batches(some_rows(), MASKER.mask, batch_rows, ROWS)])[
            :ROWS
        ]
        for batch_rows in (5, 16)
    ]
    np.testing.assert_array_equal(*targets)
