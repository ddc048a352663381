"""Training batches: whole epochs, slices of a step, few shapes."""

import random

import numpy as np
import pytest

from finetune.classifier.phases import EncodedSplit
from finetune.config import FinetuneConfig
from finetune.train.batches import EpochBatches, LabelledBatch
from pretrain.model.text_batches import rounded_rows

CONFIG = FinetuneConfig(max_length=24, batch_size=16)
PADDING = 0


def encoded(count: int = 101) -> EncodedSplit:
    """Texts of random lengths, whose second token and whose targets are their number."""
    draw = random.Random(2)
    sequences = [[2, 5 + n, *(draw.randint(200, 260) for _ in range(draw.randint(0, 21))), 3] for n in range(count)]
    targets_NL = np.array([[n // 10, n % 10] for n in range(count)], np.uint8)
    return EncodedSplit(sequences, [len(each) for each in sequences], targets_NL, np.zeros((count, 1), np.float32))


def epoch(seed: int = 0, number: int = 1, count: int = 101, **options) -> EpochBatches:
    return EpochBatches(encoded(count), PADDING, CONFIG, seed, number, **options)


def texts_of(batch: LabelledBatch) -> list[list[int]]:
    """Token ids of the batch's texts that are not padding, in their order."""
    rows, length = batch.ids_RT.shape
    ids, owners = batch.ids_RT.ravel(), batch.owners_RT.ravel()
    firsts_D = (batch.firsts_RS + length * np.arange(rows)[:, None]).ravel()
    found = [ids[owners == n].tolist() for n in range(int(batch.weights_N.sum()))]
    for number, ids_of_text in enumerate(found):
        first = firsts_D[batch.slots_N[number]]
        assert ids[first : first + len(ids_of_text)].tolist() == ids_of_text
    return found


def numbers_of(batch: LabelledBatch) -> list[int]:
    return [ids[1] - 5 for ids in texts_of(batch)]


def test_an_epoch_reads_every_text_once_with_its_targets():
    batches = epoch()
    slices = [batches.at(step).slice_of(0) for step in range(len(batches))]
    assert [len(numbers_of(each)) for each in slices] == [16] * 6 + [5]
    assert sorted(number for each in slices for number in numbers_of(each)) == list(range(101))
    for each in slices:
        assert len(each.weights_N) == len(each.slots_N) == len(each.targets_NL) == 16
        targets = each.targets_NL[each.weights_N > 0].astype(int)
        assert (10 * targets[:, 0] + targets[:, 1]).tolist() == numbers_of(each)
        assert texts_of(each) == [encoded().sequences[number] for number in numbers_of(each)]


@pytest.mark.parametrize("count", [2, 4, 8, 16])
def test_slices_of_a_step_together_are_its_batch(count):
    for step in range(len(epoch())):
        whole = epoch().at(step).slice_of(0)
        cut = epoch(num_slices=count).at(step)
        slices = [cut.slice_of(number) for number in range(count)]
        assert {each.ids_RT.shape[0] for each in slices} == {cut.num_rows}
        assert [text for each in slices for text in texts_of(each)] == texts_of(whole)
        for name in ("targets_NL", "weights_N"):
            together = np.concatenate([getattr(each, name) for each in slices])
            np.testing.assert_array_equal(together, getattr(whole, name))
        streams = np.stack([each.stream_3 for each in slices])
        assert (streams[:, :2] == np.array(whole.stream_3)[:2]).all()
        assert streams[:, 2].tolist() == [number * 16 // count for number in range(count)]


def test_order_and_random_numbers_are_fixed_by_seed_epoch_and_step():
    def drawn(seed: int, number: int) -> tuple[list[int], list[int]]:
        first = epoch(seed, number).at(0).slice_of(0)
        return numbers_of(first), np.array(first.stream_3).tolist()

    once, again, other_seed, other_epoch = (drawn(*each) for each in ((0, 1), (0, 1), (1, 1), (0, 2)))
    assert once == again
    for other in (other_seed, other_epoch):
        assert once[0] != other[0] and once[1] != other[1]
    streams = {tuple(np.array(epoch(0, n).at(step).slice_of(0).stream_3).tolist()) for n in (1, 2) for step in range(7)}
    assert len(streams) == 14


@pytest.mark.parametrize("count", [1, 4])
def test_rows_are_of_few_numbers_or_of_the_one_asked_for(count):
    batches = epoch(num_slices=count)
    numbers = [batches.at(step).num_rows for step in range(len(batches))]
    assert numbers == [rounded_rows(each) for each in numbers]
    most = batches.most_rows()
    assert rounded_rows(most) == max(numbers)
    fixed = epoch(num_slices=count, num_rows=most)
    assert {fixed.at(step).num_rows for step in range(len(fixed))} == {most}
    tight = epoch(num_slices=count, num_rows=most - 1)
    with pytest.raises(IndexError):
        _ = [tight.at(step).slice_of(n) for step in range(len(tight)) for n in range(count)]


def test_a_batch_of_one_text():
    (batch,) = [EpochBatches(encoded(1), PADDING, CONFIG, 0, 1).at(0).slice_of(0)]
    assert numbers_of(batch) == [0] and batch.weights_N.tolist() == [1] + [0] * 15
