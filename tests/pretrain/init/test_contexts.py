"""Rows as contexts of new tokens, and what the base reads of them."""

import numpy as np
import pytest

from pretrain.init.contexts import PieceReader, choose_contexts, pair_rows
from pretrain.init.transfer import old_pieces
from tests.pretrain.init.test_any_kind import NEW, OLD
from tests.tokenizer.made_tokenizers import TEXTS
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.reader import load_reader

PAD, CLS, SEP = 0, 2, 3
PIECES = [[0], [1], [2], [3], [4], [5], [6, 7], [8, 9, 10], []]
"""Of tokens 0 to 8: the first are in the base, 6 and 7 are new, 8 cannot be spelled."""


def rows_of(*ids: list[int]) -> PackedRows:
    return PackedRows(np.array(ids, np.uint16), first_id=CLS, padding_id=PAD, text_bytes=1, text_tokens=1)


def read(*ids: list[int], max_length: int = 100):
    reader = PieceReader(PIECES, PAD, base_padding_id=1, max_length=max_length)
    return pair_rows(rows_of(*ids), np.arange(len(ids)), reader)


def test_pieces_stand_in_the_order_of_the_tokens_and_the_last_of_each_is_known():
    found = read([CLS, 7, 5, SEP, CLS, 6, SEP, PAD])
    assert found.pieces_RU.tolist() == [[2, 8, 9, 10, 5, 3, 2, 6, 7, 3, *[1] * 6]]
    assert found.piece_segments_RU.tolist() == [[1] * 6 + [2] * 4 + [0] * 6]
    assert found.last_pieces_RT.tolist() == [[0, 3, 4, 5, 6, 8, 9, 0]]
    assert found.weights_RT.tolist() == [[1] * 7 + [0]]
    assert found.ids_RT.tolist() == [[CLS, 7, 5, SEP, CLS, 6, SEP, PAD]]


def test_token_without_pieces_is_read_by_the_student_only_and_matched_by_nothing():
    found = read([CLS, 8, 6, SEP])
    assert found.ids_RT.tolist() == [[CLS, 8, 6, SEP]]
    assert found.pieces_RU[0, :4].tolist() == [2, 6, 7, 3]
    assert found.weights_RT.tolist() == [[1, 0, 1, 1]]


def test_both_read_the_same_text_where_the_pieces_have_no_room():
    found = read([CLS, 7, 7, 7, 7, 7, 7, SEP])  # 20 pieces for 16 places
    assert found.pieces_RU.shape == (1, 16)
    assert found.ids_RT.tolist() == [[CLS, *[7] * 5, PAD, PAD]]
    assert found.segments_RT.tolist() == [[1] * 6 + [0] * 2]
    assert found.pieces_RU[0].tolist() == [2, *[8, 9, 10] * 5]


def test_text_beyond_the_base_s_length_is_cut_and_the_next_one_read():
    found = read([CLS, 7, 6, SEP, CLS, 6, SEP, PAD], max_length=4)
    assert found.ids_RT.tolist() == [[CLS, 7, CLS, 6, SEP, PAD, PAD, PAD]]
    assert found.pieces_RU[0, :9].tolist() == [2, 8, 9, 10, 2, 6, 7, 3, 1]
    assert found.segments_RT.tolist() == [[1, 1, 2, 2, 2, 0, 0, 0]]


@pytest.mark.parametrize("new_kind", NEW)
@pytest.mark.parametrize("old_kind", OLD)
def test_base_of_any_kind_reads_the_letters_of_the_text(old_kind, new_kind, tmp_path):
    old, new = load_reader(OLD[old_kind](tmp_path / "old")), load_reader(NEW[new_kind](tmp_path / "new"))
    pieces_of = old_pieces(old, new)
    (ids,) = new.ids_for_classifier([TEXTS[0]], 60)
    rows = PackedRows(np.array([ids + [new.padding_id] * 4]), new.first_id, new.padding_id, 1, 1)
    found = pair_rows(rows, np.arange(1), PieceReader(pieces_of, new.padding_id, old.padding_id, 200))
    read_tokens = found.ids_RT[0][found.segments_RT[0] > 0].tolist()
    expected = [piece for number in read_tokens for piece in pieces_of[number]]
    assert found.pieces_RU[0][found.piece_segments_RU[0] > 0].tolist() == expected
    for token, last, weight in zip(found.ids_RT[0], found.last_pieces_RT[0], found.weights_RT[0], strict=True):
        if weight:
            assert found.pieces_RU[0, last] == pieces_of[token][-1]


def many_rows() -> tuple[PackedRows, np.ndarray]:
    """200 rows of 8 tokens: token 10 in each, 11 in every tenth, 12 in three, 13 in none; all others are known."""
    ids = np.random.default_rng(0).integers(20, 60, (200, 8))
    ids[:, 1] = 10
    ids[::10, 2] = 11
    ids[[5, 50, 150], 3] = 12
    is_new = np.zeros(60, bool)
    is_new[10:14] = True
    return rows_of(*ids.tolist()), is_new


def test_each_new_token_gets_its_rows_where_there_are_as_many():
    rows, is_new = many_rows()
    numbers, counts = choose_contexts(rows, is_new, contexts=6, max_rows=1_000, seed=0)
    assert len(set(numbers.tolist())) == len(numbers) <= 3 + 6 + 6
    assert counts[10] >= 6
    assert counts[11] >= 6
    assert (counts[12], counts[13]) == (3, 0)
    in_chosen = [(rows.ids[numbers] == token).any(1).sum() for token in (10, 11, 12, 13)]
    assert counts[10:14].tolist() == in_chosen


def test_rare_tokens_are_served_before_frequent_ones_get_more():
    rows, is_new = many_rows()
    _, counts = choose_contexts(rows, is_new, contexts=100, max_rows=6, seed=0)
    assert counts[12] >= 1
    assert counts[11] >= 2
    assert counts[10] == 6


def test_seed_fixes_the_rows():
    rows, is_new = many_rows()
    chosen = [choose_contexts(rows, is_new, 6, 1_000, seed)[0].tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


def test_rows_without_new_tokens_are_not_chosen():
    rows, _ = many_rows()
    assert not len(choose_contexts(rows, np.zeros(60, bool), 6, 1_000, seed=0)[0])
