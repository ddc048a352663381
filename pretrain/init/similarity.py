"""Co-occurrence vectors of tokens in packed rows: positive pointwise mutual information (PPMI), reduced by SVD."""

# V tokens, D dimensions, N pairs

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.packing import segments_of

MAX_DISTANCE = 5  # tokens to each side
DIMENSIONS = 128
MAX_TOKENS = 4_000_000  # read; enough for a vocabulary of 30,000, in about 20 s
SMOOTHING = 0.75  # exponent of context frequencies (Levy, Goldberg and Dagan 2015, section 3.2)
ROWS_PER_CHUNK = 5_000


def token_vectors(
    rows: PackedRows, vocab_size: int, special_ids: tuple[int, ...], seed: int
) -> npt.NDArray[np.float32]:
    """Unit vectors (V, D), similar for tokens with similar neighbours; zeros for tokens that are not in the rows.

    PPMI of tokens at most MAX_DISTANCE apart, reduced by a singular value decomposition (Levy and Goldberg 2014, Neural
    Word Embedding as Implicit Matrix Factorization).
    """
    pairs_VV = _count_pairs(rows, vocab_size, special_ids)
    total = pairs_VV.sum()
    if not total:
        return np.zeros((vocab_size, DIMENSIONS), np.float32)
    counts_V = np.asarray(pairs_VV.sum(1)).ravel()
    context_V = counts_V**SMOOTHING
    context_V *= 1 / context_V.sum()
    found = pairs_VV.tocoo()
    information_N = np.log(found.data / (counts_V[found.row] * context_V[found.col]))
    positive = information_N > 0
    entries = (information_N[positive].astype(np.float32), (found.row[positive], found.col[positive]))
    matrix_VV = sparse.csr_matrix(entries, pairs_VV.shape)
    dimensions = min(DIMENSIONS, vocab_size - 1)
    left_VD, sizes_D, _ = randomized_svd(matrix_VV, dimensions, n_iter=4, random_state=seed)
    vectors_VD = np.where(counts_V[:, None] > 0, left_VD * np.sqrt(sizes_D), 0)
    lengths_V1 = np.linalg.norm(vectors_VD, axis=1, keepdims=True)
    unit_VD: npt.NDArray[np.float32] = (vectors_VD / np.maximum(lengths_V1, 1e-6)).astype(np.float32)
    return unit_VD


def sparsemax(scores_NK: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """A sparse softmax: each row sums to 1, and most shares are 0 (Martins and Astudillo 2016, arXiv 1602.02068).

    >>> sparsemax(np.array([[1.0, 0.9, 0.1]])).round(2)
    array([[0.55, 0.45, 0.  ]])
    """
    sorted_NK = -np.sort(-scores_NK, axis=1)
    sums_NK = np.cumsum(sorted_NK, axis=1) - 1
    order_K = np.arange(1, scores_NK.shape[1] + 1)
    size_N = (sorted_NK * order_K > sums_NK).sum(1)
    threshold_N = sums_NK[np.arange(len(size_N)), size_N - 1] / size_N
    shares_NK: npt.NDArray[np.floating] = np.maximum(scores_NK - threshold_N[:, None], 0)
    return shares_NK


def _count_pairs(rows: PackedRows, vocab_size: int, special_ids: tuple[int, ...]) -> sparse.csr_matrix:
    """Co-occurrences at most MAX_DISTANCE apart in one text, each weighted by 1 / distance, (V, V) symmetric."""
    pairs_VV = sparse.csr_matrix((vocab_size, vocab_size), dtype=np.float64)
    ordinary_V = np.ones(vocab_size, bool)
    ordinary_V[list(special_ids)] = False
    last = min(len(rows.ids), MAX_TOKENS // rows.ids.shape[1] + 1)
    for start in range(0, last, ROWS_PER_CHUNK):
        ids_BT = np.asarray(rows.ids[start : min(start + ROWS_PER_CHUNK, last)]).astype(np.int64)
        segments_BT = segments_of(ids_BT, rows.first_id, rows.padding_id)
        for distance in range(1, min(MAX_DISTANCE, ids_BT.shape[1] - 1) + 1):
            left_N, right_N = ids_BT[:, :-distance].ravel(), ids_BT[:, distance:].ravel()
            same_N = (segments_BT[:, :-distance] == segments_BT[:, distance:]).ravel()
            same_N &= ordinary_V[left_N] & ordinary_V[right_N]
            weights_N = np.full(int(same_N.sum()), 1 / distance)
            pairs_VV += sparse.csr_matrix((weights_N, (left_N[same_N], right_N[same_N])), pairs_VV.shape)
    return pairs_VV + pairs_VV.T
