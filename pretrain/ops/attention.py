"""Fused attention within each segment of a row, with hand-written gradients; see `fused_ops`."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, Q queries a row (T or P)
# A heads, D head width, H hidden, K = 3H queries, keys and values, J = 2H keys and values

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.ops.fused_ops import Gradient, Tensors, as_float, fused_op, with_gradient

MASKED_SCORE = -1e9  # finite, so that a row of padding gives a uniform softmax and not NaN

HEADS_FIRST = (0, 2, 1, 3)  # BTAD to BATD, and back
TOKENS_LAST, TOKENS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # BTAD to BADT, and back
FURTHEST = 128  # distance from which on all have one bucket


def attention(
    qkv_NK: tf.Tensor, bias_K: tf.Tensor, segments_BT: tf.Tensor, num_heads: int, score_bias: Tensors = ()
) -> tf.Tensor:
    """Self-attention within each segment, (N, H), from the joint projection of queries, keys and values.

    Vaswani et al. 2017 (arXiv 1706.03762), section 3.2. Its own matrix products are small. Inside XLA, with operands
    laid out for contiguous reads, they take half the time that they take outside. `score_bias` may hold one tensor,
    (1, A, T, T) float32, that is added to the scores.
    """

    @with_gradient
    def compute(qkv_NK: tf.Tensor, bias_K: tf.Tensor, *score_bias: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        mixed_NH, *saved = _attention_forward(qkv_NK, bias_K, segments_BT, num_heads, *score_bias)

        def gradient(dmixed_NH: tf.Tensor) -> Tensors:
            return _attention_backward(dmixed_NH, bool(score_bias), *saved)

        return mixed_NH, gradient

    return compute(qkv_NK, bias_K, *score_bias)


def attention_at(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    bias_K: tf.Tensor,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
    score_bias: Tensors = (),
) -> tf.Tensor:
    """Self-attention of the tokens at some positions of each row, (M, H), to all tokens of their segments.

    `q_MH` are the queries of these tokens; `kv_NJ` the keys and values of all tokens; `score_bias` as in `attention`,
    but (B, A, P, T).
    """

    @with_gradient
    def compute(
        q_MH: tf.Tensor, kv_NJ: tf.Tensor, bias_K: tf.Tensor, *score_bias: tf.Tensor
    ) -> tuple[tf.Tensor, Gradient]:
        mixed_MH, *saved = _attention_at_forward(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads, *score_bias)

        def gradient(dmixed_MH: tf.Tensor) -> Tensors:
            return _attention_at_backward(dmixed_MH, bool(score_bias), *saved)

        return mixed_MH, gradient

    return compute(q_MH, kv_NJ, bias_K, *score_bias)


def distance_bias(table_UA: tf.Tensor, tokens: int) -> tf.Tensor:
    """A bias of the scores from a table of U buckets of distances, (1, A, T, T).

    Raffel et al. 2020 (arXiv 1910.10683), section 2.1. Segments are contiguous, so that the distance of two tokens of
    one is that of their places in the row. The table is read by a product, as its gradient is one, too.
    """
    one_hot_TTU = tf.one_hot(distance_buckets(tokens, table_UA.shape[0]), table_UA.shape[0])
    return tf.einsum("qku,ua->aqk", one_hot_TTU, table_UA)[None]


def distance_bias_at(bias_1ATT: tf.Tensor, positions_BP: tf.Tensor) -> tf.Tensor:
    """The rows of a bias of the scores that belong to some positions, (B, A, P, T)."""
    return tf.einsum("bpq,aqk->bapk", tf.one_hot(positions_BP, bias_1ATT.shape[2]), bias_1ATT[0])


def distance_buckets(tokens: int, num_buckets: int) -> npt.NDArray[np.int32]:
    """Bucket of each query's distance to each key, (T, T).

    Half of the buckets are for keys after the query. Of each half, one half are distances of their own, the other
    grow with the logarithm up to FURTHEST.

    >>> distance_buckets(4, 8)
    array([[0, 5, 6, 6],
           [1, 0, 5, 6],
           [2, 1, 0, 5],
           [2, 2, 1, 0]], dtype=int32)
    """
    exact = num_buckets // 4
    ends = np.ceil(exact * (FURTHEST / exact) ** (np.arange(exact) / exact))
    starts = np.concatenate([np.arange(1, exact), ends])
    distances_TT = np.arange(tokens)[:, None] - np.arange(tokens)
    buckets_TT: npt.NDArray[np.int32] = np.searchsorted(starts, np.abs(distances_TT), side="right").astype(np.int32)
    buckets_TT[distances_TT < 0] += num_buckets // 2
    return buckets_TT


@fused_op
def _attention_forward(
    qkv_NK: tf.Tensor, bias_K: tf.Tensor, segments_BT: tf.Tensor, num_heads: int, *score_bias: tf.Tensor
) -> Tensors:
    x_BT3AD = in_heads(as_float(qkv_NK) + bias_K, segments_BT, 3, num_heads)
    q_BTAD, k_BTAD, v_BTAD = tf.unstack(x_BT3AD, axis=2)
    return attend(q_BTAD, k_BTAD, v_BTAD, same_segment(segments_BT, segments_BT), qkv_NK.dtype, *score_bias)


@fused_op
def _attention_backward(dmixed_NH: tf.Tensor, has_score_bias: bool, *saved: tf.Tensor) -> Tensors:
    *dqkv, dscores_BATT = attend_backward(dmixed_NH, *saved)
    d_NK = tf.reshape(tf.stack(dqkv, axis=2), (dmixed_NH.shape[0], -1))
    dscore_bias = (tf.reduce_sum(dscores_BATT, 0, keepdims=True),) if has_score_bias else ()
    return tf.cast(d_NK, dmixed_NH.dtype), tf.reduce_sum(d_NK, 0), *dscore_bias


@fused_op
def _attention_at_forward(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    bias_K: tf.Tensor,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
    *score_bias: tf.Tensor,
) -> Tensors:
    width = q_MH.shape[1]
    q_BPAD = in_heads(as_float(q_MH) + bias_K[:width], positions_BP, 1, num_heads)[:, :, 0]
    k_BTAD, v_BTAD = tf.unstack(in_heads(as_float(kv_NJ) + bias_K[width:], segments_BT, 2, num_heads), axis=2)
    segments_BP = tf.gather(segments_BT, positions_BP, batch_dims=1)
    return attend(q_BPAD, k_BTAD, v_BTAD, same_segment(segments_BP, segments_BT), q_MH.dtype, *score_bias)


@fused_op
def _attention_at_backward(dmixed_MH: tf.Tensor, has_score_bias: bool, *saved: tf.Tensor) -> Tensors:
    dq_BPAD, dk_BTAD, dv_BTAD, dscores_BAPT = attend_backward(dmixed_MH, *saved)
    dq_MH = tf.reshape(dq_BPAD, dmixed_MH.shape)
    dkv_NJ = tf.reshape(tf.stack([dk_BTAD, dv_BTAD], axis=2), (-1, 2 * dmixed_MH.shape[1]))
    dbias_K = tf.concat([tf.reduce_sum(dq_MH, 0), tf.reduce_sum(dkv_NJ, 0)], 0)
    dscore_bias = (dscores_BAPT,) if has_score_bias else ()
    return tf.cast(dq_MH, dmixed_MH.dtype), tf.cast(dkv_NJ, dmixed_MH.dtype), dbias_K, *dscore_bias


def in_heads(x_NK: tf.Tensor, table_BT: tf.Tensor, count: int, num_heads: int) -> tf.Tensor:
    """Reshape (B x T, count x A x D) to (B, T, count, A, D); `table_BT` has the first two sizes."""
    return tf.reshape(x_NK, (*table_BT.shape, count, num_heads, x_NK.shape[1] // (count * num_heads)))


def same_segment(segments_BQ: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
    """Which tokens each query sees, (B, 1, Q, T): those of its segment, and no padding."""
    return (segments_BQ[:, None, :, None] == segments_BT[:, None, None, :]) & (segments_BT > 0)[:, None, None, :]


def attend(
    q_BQAD: tf.Tensor,
    k_BTAD: tf.Tensor,
    v_BTAD: tf.Tensor,
    seen_B1QT: tf.Tensor,
    dtype: tf.DType,
    score_bias_BAQT: tf.Tensor | float = 0.0,
) -> Tensors:
    """Attention of Q queries a row to its tokens, (B x Q, A x D), and the tensors that the backward pass needs."""
    b, queries, a, d = q_BQAD.shape
    q_BQAD, k_BTAD, v_BTAD = (tf.cast(each, dtype) for each in (q_BQAD * d**-0.5, k_BTAD, v_BTAD))
    scores_BAQT = tf.matmul(tf.transpose(q_BQAD, HEADS_FIRST), tf.transpose(k_BTAD, TOKENS_LAST))
    scores_BAQT = tf.where(seen_B1QT, as_float(scores_BAQT) + score_bias_BAQT, MASKED_SCORE)
    weights_BAQT = tf.cast(tf.nn.softmax(scores_BAQT), dtype)
    mixed_BAQD = tf.matmul(weights_BAQT, tf.transpose(v_BTAD, HEADS_FIRST))
    mixed = tf.reshape(tf.transpose(mixed_BAQD, HEADS_FIRST), (b * queries, a * d))
    orders = (q_BQAD, TOKENS_LAST), (k_BTAD, HEADS_FIRST), (v_BTAD, TOKENS_LAST)
    return mixed, *(tf.transpose(each, order) for each, order in orders), weights_BAQT


def attend_backward(
    dmixed: tf.Tensor, q_BADQ: tf.Tensor, k_BATD: tf.Tensor, v_BADT: tf.Tensor, weights_BAQT: tf.Tensor
) -> Tensors:
    """Gradients of queries, keys and values, (B, Q or T, A, D), and of scores (B, A, Q, T), all float32."""
    b, a, d, queries = q_BADQ.shape
    dmixed_BQAD = tf.reshape(dmixed, (b, queries, a, d))
    dweights_BAQT = tf.matmul(tf.transpose(dmixed_BQAD, HEADS_FIRST), v_BADT)
    product_BAQT = as_float(dweights_BAQT) * as_float(weights_BAQT)
    sum_BAQ1 = tf.reduce_sum(product_BAQT, -1, keepdims=True)
    dfloat_BAQT = product_BAQT - as_float(weights_BAQT) * sum_BAQ1
    dscores_BAQT = tf.cast(dfloat_BAQT, weights_BAQT.dtype)
    dq_BQAD = tf.transpose(tf.matmul(dscores_BAQT, k_BATD), HEADS_FIRST)
    dk_BTAD = tf.transpose(tf.matmul(q_BADQ, dscores_BAQT), TOKENS_FIRST)
    dv_BTAD = tf.transpose(tf.matmul(tf.transpose(dmixed_BQAD, TOKENS_LAST), weights_BAQT), TOKENS_FIRST)
    return as_float(dq_BQAD) * d**-0.5, as_float(dk_BTAD), as_float(dv_BTAD), dfloat_BAQT
