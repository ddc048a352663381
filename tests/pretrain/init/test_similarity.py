"""Vectors of tokens from their company."""

import numpy as np

from pretrain.init.similarity import sparsemax, token_vectors
from tokenizer.encoding.packed_rows import PackedRows

FIRST, PADDING = 2, 0


def rows() -> PackedRows:
    """Texts "a x y z b" in which tokens 10 and 11 are used alike, as are 12 and 13."""
    generator = np.random.default_rng(0)
    ids = np.zeros((600, 8), np.uint16)
    for row in ids:
        pair, company = ((10, 11), (20, 21, 22)) if generator.random() < 0.5 else ((12, 13), (30, 31, 32))
        row[:6] = [FIRST, *generator.permutation(company), generator.choice(pair), 3]
    return PackedRows(ids, FIRST, PADDING, 1, 1)


def test_tokens_in_the_same_company_have_alike_vectors():
    vectors = token_vectors(rows(), vocab_size=40, special_ids=(0, 1, 2, 3, 4), seed=0)
    likeness = vectors @ vectors.T
    assert likeness[10, 11] > 0.9
    assert likeness[12, 13] > 0.9
    assert abs(likeness[10, 12]) < 0.1
    assert not vectors[[0, 2, 3, 39]].any()  # specials, and a token that never comes


def test_same_rows_give_the_same_vectors():
    first, second = (token_vectors(rows(), 40, (0, 1, 2, 3, 4), seed=0) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_no_text_gives_no_vectors():
    empty = PackedRows(np.zeros((1, 8), np.uint16), FIRST, PADDING, 1, 1)
    assert not token_vectors(empty, 40, (0, 1, 2, 3, 4), seed=0).any()


def test_sparsemax_is_a_projection_onto_the_simplex():
    scores = np.random.default_rng(1).normal(size=(50, 7))
    shares = sparsemax(scores)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert (shares >= 0).all()
    order = np.argsort(scores, 1)
    assert (np.diff(np.take_along_axis(shares, order, 1), axis=1) >= -1e-12).all()
