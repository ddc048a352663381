"""Which tokens are used alike: vectors from the company that each keeps in the packed rows."""

# V tokens, D dimensions, N pairs

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.packing import segments_of

WINDOW = 5  # neighbours on each side
DIMENSIONS = 128
MOST_TOKENS = 4_000_000  # enough for the neighbours of a 30,000-token vocabulary; some 20 s
SMOOTHING = 0.75  # exponent of the neighbours' frequencies (Levy, Goldberg and Dagan 2015, section 3.2)
ROWS_AT_A_TIME = 5_000


def token_vectors(rows: PackedRows, vocab_size: int, special_ids: tuple[int, ...], seed: int) -> np.ndarray:
    """Unit vectors, (V, D) float32, alike for tokens with alike neighbours; zeros for tokens that are not in the rows.

    Positive pointwise mutual information of tokens at most WINDOW apart, reduced by a singular value decomposition
    (Levy and Goldberg 2014, Neural Word Embedding as Implicit Matrix Factorization).
    """
    pairs_VV = _neighbours(rows, vocab_size, special_ids)
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
    return (vectors_VD / np.maximum(lengths_V1, 1e-6)).astype(np.float32)


def sparsemax(scores_NK: np.ndarray) -> np.ndarray:
    """Rows of shares that sum to 1, most of them 0 (Martins and Astudillo 2016, arXiv 1602.02068).

    >>> sparsemax(np.array([[1.0, 0.9, 0.1]])).round(2)
    array([[0.55, 0.45, 0.  ]])
    """
    sorted_NK = -np.sort(-scores_NK, axis=1)
    sums_NK = np.cumsum(sorted_NK, axis=1) - 1
    order_K = np.arange(1, scores_NK.shape[1] + 1)
    size_N = (sorted_NK * order_K > sums_NK).sum(1)
    threshold_N = sums_NK[np.arange(len(size_N)), size_N - 1] / size_N
    return np.maximum(scores_NK - threshold_N[:, None], 0)


def _neighbours(rows: PackedRows, vocab_size: int, special_ids: tuple[int, ...]) -> sparse.csr_matrix:
    """How often two tokens stand at most WINDOW apart in one text, nearer ones counting more, (V, V) symmetric."""
    pairs_VV = sparse.csr_matrix((vocab_size, vocab_size), dtype=np.float64)
    ordinary_V = np.ones(vocab_size, bool)
    ordinary_V[list(special_ids)] = False
    last = min(len(rows.ids), MOST_TOKENS // rows.ids.shape[1] + 1)
    for start in range(0, last, ROWS_AT_A_TIME):
        ids_BT = np.asarray(rows.ids[start : min(start + ROWS_AT_A_TIME, last)]).astype(np.int64)
        segments_BT = segments_of(ids_BT, rows.first_id, rows.padding_id)
        for distance in range(1, min(WINDOW, ids_BT.shape[1] - 1) + 1):
            left_N, right_N = ids_BT[:, :-distance].ravel(), ids_BT[:, distance:].ravel()
            same_N = (segments_BT[:, :-distance] == segments_BT[:, distance:]).ravel()
            same_N &= ordinary_V[left_N] & ordinary_V[right_N]
            weights_N = np.full(int(same_N.sum()), 1 / distance)
            pairs_VV += sparse.csr_matrix((weights_N, (left_N[same_N], right_N[same_N])), pairs_VV.shape)
    return pairs_VV + pairs_VV.T
