"""Batches of packed texts."""

import random
from collections.abc import Iterable

import numpy as np
import pytest

from pretrain.model.text_batches import (
    TextBatch,
    batched_lists,
    inference_batches,
    sized_batches,
)
from tokenizer.encoding.reader import TextReader, load_reader

ROW_LENGTH = 24


@pytest.fixture(scope="module")
def reader(small_rows) -> TextReader:
    return load_reader(small_rows / "tokenizer")


def sequences(count: int = 101) -> list[list[int]]:
    draw = random.Random(2)
    return [[2, *(draw.randint(5, 60) for _ in range(draw.randint(1, ROW_LENGTH - 2))), 3] for _ in range(count)]


def check_rows(batch: TextBatch, numbers: np.ndarray, texts: list[list[int]]) -> None:
    """Every text of the batch is whole at its slot, and everything else is padding."""
    rows, length = batch.ids_RT.shape
    assert len(batch.slots_N) == len(numbers)
    firsts_N = (batch.firsts_RS + length * np.arange(rows)[:, None]).ravel()[batch.slots_N]
    used = np.zeros(rows * length, bool)
    for index, number in enumerate(numbers):
        span = slice(firsts_N[index], firsts_N[index] + len(texts[number]))
        assert batch.ids_RT.ravel()[span].tolist() == texts[number]
        assert (batch.owners_RT.ravel()[span] == index).all()
        assert len(set(batch.segments_RT.ravel()[span])) == 1
        assert span.start // length == (span.stop - 1) // length  # a text does not run over two rows
        assert not used[span].any()
        used[span] = True
    assert (batch.ids_RT.ravel()[~used] == 0).all()
    assert (batch.owners_RT.ravel()[~used] == -1).all()
    np.testing.assert_array_equal(batch.segments_RT.ravel() > 0, used)


def all_numbers(batches: Iterable[tuple[TextBatch, np.ndarray]]) -> list[int]:
    return [int(number) for _, numbers in batches for number in numbers]


def test_inference_reads_every_text_once_in_rows_of_one_shape(reader):
    texts = sequences()
    batches = list(inference_batches(texts, reader.padding_id, ROW_LENGTH, rows_per_batch=8))
    assert sorted(all_numbers(batches)) == list(range(len(texts)))
    assert {batch.ids_RT.shape for batch, _ in batches} == {(8, ROW_LENGTH)}
    for batch, numbers in batches:
        check_rows(batch, numbers, texts)


def test_special_tokens_typed_in_a_text_neither_end_it_nor_hide(reader):
    """A vocabulary can hold them as pieces of text, as CamemBERT's does."""
    texts = [[2, 7, 2, 0, 8, 3], [2, 9, 3]]
    ((batch, numbers),) = inference_batches(texts, reader.padding_id, ROW_LENGTH, rows_per_batch=1)
    lengths = [len(texts[number]) for number in numbers]
    assert np.bincount(batch.segments_RT[0])[1:].tolist() == lengths


def test_no_texts_make_no_batches(reader):
    assert list(inference_batches([], reader.padding_id, ROW_LENGTH, 8)) == []


def test_last_list_may_be_short():
    assert list(batched_lists([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]


def test_batches_of_given_sizes_hold_every_text_once_without_rows_of_padding(reader):
    texts = sequences(150)
    batches = list(sized_batches(texts, reader.padding_id, ROW_LENGTH, (16, 4, 1)))
    assert sorted(all_numbers(batches)) == list(range(len(texts)))
    sizes = [batch.ids_RT.shape[0] for batch, _ in batches]
    assert sizes == sorted(sizes, reverse=True) and set(sizes) <= {16, 4, 1} and sizes.count(1) < 4
    for batch, numbers in batches:
        check_rows(batch, numbers, texts)
        assert (batch.segments_RT[:, 0] == 1).all()
    assert list(sized_batches([], reader.padding_id, ROW_LENGTH, (16, 1))) == []


def test_a_size_that_the_texts_do_not_fill_is_padded(reader):
    ((batch, numbers),) = sized_batches(sequences(1), reader.padding_id, ROW_LENGTH, (8, 4))
    assert batch.ids_RT.shape == (4, ROW_LENGTH) and numbers.tolist() == [0]
