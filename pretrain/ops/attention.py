"""Fused attention within each segment of a row, with hand-written gradients; see `fused_ops`."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, Q queries a row (T or P)
# A heads, D head width, H hidden, K = 3H queries, keys and values, J = 2H keys and values

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from pretrain.ops.fused_ops import Gradient, Tensors, as_float, fused_op, whole_or_parts, with_gradient

MASKED_SCORE = -1e9  # finite, so that a row of padding gives a uniform softmax and not NaN

HEADS_FIRST = (0, 2, 1, 3)  # BTAD to BATD, and back
TOKENS_LAST, TOKENS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # BTAD to BADT, and back
FURTHEST = 128  # distance from which on all have one bucket


def attention(
    qkv_NK: tf.Tensor,
    bias_K: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
    score_bias: Tensors = (),
    causal: bool = False,
) -> tf.Tensor:
    """Self-attention within each segment, (N, H), from the joint projection of queries, keys and values.

    Vaswani et al. 2017 (arXiv 1706.03762), section 3.2. Its own matrix products are small, with operands laid out for
    contiguous reads: in float32 they are part of one op of XLA, in bfloat16 not (`whole_or_parts`). `score_bias` may
    hold one tensor, (1, A, T, T) float32, that is added to the scores. `causal`: a token attends to none after itself.
    """

    @with_gradient
    def compute(qkv_NK: tf.Tensor, bias_K: tf.Tensor, *score_bias: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        forward, backward = (whole_or_parts(op, qkv_NK.dtype) for op in (_attention_forward, _attention_backward))
        mixed_NH, *saved = forward(qkv_NK, bias_K, segments_BT, num_heads, causal, *score_bias)

        def gradient(dmixed_NH: tf.Tensor) -> Tensors:
            return backward(dmixed_NH, bool(score_bias), *saved)

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
        forward, backward = (whole_or_parts(op, q_MH.dtype) for op in (_attention_at_forward, _attention_at_backward))
        mixed_MH, *saved = forward(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads, *score_bias)

        def gradient(dmixed_MH: tf.Tensor) -> Tensors:
            return backward(dmixed_MH, bool(score_bias), *saved)

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
    qkv_NK: tf.Tensor, bias_K: tf.Tensor, segments_BT: tf.Tensor, num_heads: int, causal: bool, *score_bias: tf.Tensor
) -> Tensors:
    operands = _operands(qkv_NK, bias_K, segments_BT, num_heads)
    seen_B1TT = same_segment(segments_BT, segments_BT)
    if causal:
        index_T = tf.range(segments_BT.shape[1])
        seen_B1TT &= index_T <= index_T[:, None]
    return attend(operands, seen_B1TT, *score_bias)


@fused_op
def _operands(qkv_NK: tf.Tensor, bias_K: tf.Tensor, segments_BT: tf.Tensor, num_heads: int) -> Tensors:
    x_BT3AD = in_heads(as_float(qkv_NK) + bias_K, segments_BT, 3, num_heads)
    return operands_of(tf.unstack(x_BT3AD, axis=2), qkv_NK.dtype)


@fused_op
def _attention_backward(dmixed_NH: tf.Tensor, has_score_bias: bool, *saved: tf.Tensor) -> Tensors:
    *products, dscores_BATT = attend_backward(dmixed_NH, *saved)
    dscore_bias = (tf.reduce_sum(as_float(dscores_BATT), 0, keepdims=True),) if has_score_bias else ()
    return *_projection_gradients(tuple(products), dmixed_NH.dtype), *dscore_bias


@fused_op
def _projection_gradients(products: Tensors, dtype: tf.DType) -> Tensors:
    d_BT3AD = tf.stack(in_tokens(products), axis=2)
    d_NK = tf.reshape(d_BT3AD, (d_BT3AD.shape[0] * d_BT3AD.shape[1], -1))
    return tf.cast(d_NK, dtype), tf.reduce_sum(d_NK, 0)


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
    operands = _operands_at(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads)
    segments_BP = tf.gather(segments_BT, positions_BP, batch_dims=1)
    return attend(operands, same_segment(segments_BP, segments_BT), *score_bias)


@fused_op
def _operands_at(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    bias_K: tf.Tensor,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
) -> Tensors:
    width = q_MH.shape[1]
    q_BPAD = in_heads(as_float(q_MH) + bias_K[:width], positions_BP, 1, num_heads)[:, :, 0]
    k_BTAD, v_BTAD = tf.unstack(in_heads(as_float(kv_NJ) + bias_K[width:], segments_BT, 2, num_heads), axis=2)
    return operands_of((q_BPAD, k_BTAD, v_BTAD), q_MH.dtype)


@fused_op
def _attention_at_backward(dmixed_MH: tf.Tensor, has_score_bias: bool, *saved: tf.Tensor) -> Tensors:
    *products, dscores_BAPT = attend_backward(dmixed_MH, *saved)
    dscore_bias = (as_float(dscores_BAPT),) if has_score_bias else ()
    return *_projection_gradients_at(tuple(products), dmixed_MH.dtype), *dscore_bias


@fused_op
def _projection_gradients_at(products: Tensors, dtype: tf.DType) -> Tensors:
    b, a, queries, d = products[0].shape
    dq_BPAD, dk_BTAD, dv_BTAD = in_tokens(products)
    dq_MH = tf.reshape(dq_BPAD, (b * queries, a * d))
    dkv_NJ = tf.reshape(tf.stack([dk_BTAD, dv_BTAD], axis=2), (-1, 2 * a * d))
    dbias_K = tf.concat([tf.reduce_sum(dq_MH, 0), tf.reduce_sum(dkv_NJ, 0)], 0)
    return tf.cast(dq_MH, dtype), tf.cast(dkv_NJ, dtype), dbias_K


def in_heads(x_NK: tf.Tensor, table_BT: tf.Tensor, count: int, num_heads: int) -> tf.Tensor:
    """Reshape (B x T, count x A x D) to (B, T, count, A, D); `table_BT` has the first two sizes."""
    return tf.reshape(x_NK, (*table_BT.shape, count, num_heads, x_NK.shape[1] // (count * num_heads)))


@fused_op
def same_segment(segments_BQ: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
    """Which tokens each query sees, (B, 1, Q, T): those of its segment, and no padding."""
    return (segments_BQ[:, None, :, None] == segments_BT[:, None, None, :]) & (segments_BT > 0)[:, None, None, :]


def operands_of(qkv: Tensors, dtype: tf.DType) -> Tensors:
    """What the products of `attend` and `attend_backward` read: scaled queries, keys and values in `dtype`.

    `qkv` are queries (B, Q, A, D), keys and values (B, T, A, D).
    """
    q_BQAD, k_BTAD, v_BTAD = (tf.cast(x, dtype) for x in (qkv[0] * qkv[0].shape[-1] ** -0.5, *qkv[1:]))
    forward = (q_BQAD, HEADS_FIRST), (k_BTAD, TOKENS_LAST), (v_BTAD, HEADS_FIRST)
    backward = (q_BQAD, TOKENS_LAST), (k_BTAD, HEADS_FIRST), (v_BTAD, TOKENS_LAST)
    return tuple(tf.transpose(x, order) for x, order in forward + backward)


def attend(operands: Tensors, seen_B1QT: tf.Tensor, score_bias_BAQT: tf.Tensor | float = 0.0) -> Tensors:
    """Attention of Q queries a row to its tokens, (B x Q, A x D), and the tensors that the backward pass needs."""
    q_BAQD, k_BADT, v_BATD, *saved = operands
    weights_BAQT = _weights(tf.matmul(q_BAQD, k_BADT), seen_B1QT, score_bias_BAQT)
    return _mixed_in_tokens(tf.matmul(weights_BAQT, v_BATD)), *saved, weights_BAQT


@fused_op
def _weights(scores_BAQT: tf.Tensor, seen_B1QT: tf.Tensor, score_bias_BAQT: tf.Tensor | float) -> tf.Tensor:
    masked_BAQT = tf.where(seen_B1QT, as_float(scores_BAQT) + score_bias_BAQT, MASKED_SCORE)
    return tf.cast(tf.nn.softmax(masked_BAQT), scores_BAQT.dtype)


@fused_op
def _mixed_in_tokens(mixed_BAQD: tf.Tensor) -> tf.Tensor:
    b, a, queries, d = mixed_BAQD.shape
    return tf.reshape(tf.transpose(mixed_BAQD, HEADS_FIRST), (b * queries, a * d))


def attend_backward(
    dmixed: tf.Tensor, q_BADQ: tf.Tensor, k_BATD: tf.Tensor, v_BADT: tf.Tensor, weights_BAQT: tf.Tensor
) -> Tensors:
    """Gradients of scaled queries (B, A, Q, D), keys and values (B, A, D, T), and scores (B, A, Q, T).

    `in_tokens` brings the first three in order.
    """
    dmixed_BAQD, dmixed_BADQ = _mixed_in_heads(dmixed, q_BADQ)
    dscores_BAQT = score_gradients(tf.matmul(dmixed_BAQD, v_BADT), weights_BAQT)
    dq_BAQD, dk_BADT = tf.matmul(dscores_BAQT, k_BATD), tf.matmul(q_BADQ, dscores_BAQT)
    return dq_BAQD, dk_BADT, tf.matmul(dmixed_BADQ, weights_BAQT), dscores_BAQT


@fused_op
def _mixed_in_heads(dmixed: tf.Tensor, like_BADQ: tf.Tensor) -> Tensors:
    b, a, d, queries = like_BADQ.shape
    dmixed_BQAD = tf.reshape(dmixed, (b, queries, a, d))
    return tf.transpose(dmixed_BQAD, HEADS_FIRST), tf.transpose(dmixed_BQAD, TOKENS_LAST)


@fused_op
def score_gradients(dweights_BAQT: tf.Tensor, weights_BAQT: tf.Tensor) -> tf.Tensor:
    """The gradient of scores from that of the softmax weights over the last axis."""
    product_BAQT = as_float(dweights_BAQT) * as_float(weights_BAQT)
    sum_BAQ1 = tf.reduce_sum(product_BAQT, -1, keepdims=True)
    return tf.cast(product_BAQT - as_float(weights_BAQT) * sum_BAQ1, weights_BAQT.dtype)


def in_tokens(products: Tensors) -> Tensors:
    """Gradients of queries, keys and values, (B, Q or T, A, D) float32, from `attend_backward`'s."""
    dq_BAQD, dk_BADT, dv_BADT = products
    dq_BQAD = as_float(tf.transpose(dq_BAQD, HEADS_FIRST)) * dq_BAQD.shape[-1] ** -0.5
    return dq_BQAD, *(as_float(tf.transpose(each, TOKENS_FIRST)) for each in (dk_BADT, dv_BADT))
