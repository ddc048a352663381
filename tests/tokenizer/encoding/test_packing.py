"""Packing: every sequence once, little padding."""

import random

import numpy as np
import pytest

from tokenizer.encoding.packing import RowPacker, segments_of

FIRST, LAST, PADDING = 2, 3, 0


def packed(lengths: list[int], row_length: int, batch: int = 1_000, open_rows: int = 4_096) -> list[list[int]]:
    """Rows of item numbers."""
    packer: RowPacker[int] = RowPacker(row_length, open_rows)
    items = list(enumerate(lengths))
    rows = []
    for start in range(0, len(items), batch):
        rows += packer.add((length, number) for number, length in items[start : start + batch])
    return rows + list(packer.flush())


def realistic_lengths(count: int, row_length: int) -> list[int]:
    """Many titles, a long tail of bodies cut to the row."""
    generator = np.random.default_rng(4)
    tokens = np.concatenate([generator.lognormal(2.6, 0.4, count // 2), generator.lognormal(4.8, 0.9, count // 2)])
    lengths = []
    for number in generator.permutation(tokens).astype(int):
        whole, rest = divmod(int(number), row_length - 2)
        lengths += [row_length] * whole + ([rest + 2] if rest else [])
    return lengths


@pytest.mark.parametrize("row_length", [64, 128, 256])
def test_each_item_once_no_row_too_long_and_padding_under_2_percent(row_length):
    lengths = realistic_lengths(8_000, row_length)
    rows = packed(lengths, row_length)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert max(sum(lengths[number] for number in row) for row in rows) <= row_length
    padding = 1 - sum(lengths) / (len(rows) * row_length)
    print(f"rows of {row_length}: padding {padding:.2%}")
    assert padding < 0.02


def test_same_items_give_the_same_rows():
    lengths = realistic_lengths(1_000, 64)
    assert packed(lengths, 64) == packed(lengths, 64)


def test_open_rows_are_bounded():
    packer: RowPacker[int] = RowPacker(10, open_rows=3)
    given = list(packer.add((6, number) for number in range(8)))
    assert len(given) == 5
    assert len(list(packer.flush())) == 3


def test_sequence_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="11 tokens does not fit a row of 10"):
        list(RowPacker(10).add([(11, "x")]))


@pytest.mark.parametrize("seed", range(5))
def test_each_sequence_goes_to_the_open_row_it_fills_best(seed):
    draw = random.Random(seed)
    lengths = [draw.randint(1, 40) for _ in range(300)]
    expected: list[tuple[int, list[int]]] = []
    for number in sorted(range(300), key=lambda n: -lengths[n]):
        fitting = [(space, -index) for index, (space, _) in enumerate(expected) if space >= lengths[number]]
        space, index = min(fitting) if fitting else (40, -len(expected))
        row = expected[-index][1] if fitting else []
        expected[-index : -index + 1] = [(space - lengths[number], [*row, number])]
    spaces = sorted(40 - sum(lengths[number] for number in row) for row in packed(lengths, 40))
    assert spaces == sorted(space for space, _ in expected)


def test_segments_are_read_back_from_rows():
    draw = random.Random(1)
    sequences = [[FIRST, *(draw.randint(5, 90) for _ in range(draw.randint(1, 20))), LAST] for _ in range(200)]
    for row in packed([len(sequence) for sequence in sequences], 32):
        ids = [token for number in row for token in sequences[number]]
        expected = [segment for segment, number in enumerate(row, 1) for _ in sequences[number]]
        padding = 32 - len(ids)
        found = segments_of(np.array([ids + [PADDING] * padding]), FIRST, PADDING)
        assert found.tolist() == [expected + [0] * padding]
        assert found.dtype == np.int32
