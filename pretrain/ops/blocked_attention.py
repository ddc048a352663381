"""Attention in long rows, block by block, so that no table of all queries by all keys is made; XLA compiles it.

Local layers take blocks of queries with their own and the two neighbouring blocks of keys (as Beltagy et al. 2020,
arXiv 2004.05150, section 3.1). Global ones take a block of queries at a time, keep the normalisers alone, and compute
the weights once more in the backward pass (as Dao et al. 2022, arXiv 2205.14135, section 3.1).
"""

# B rows, T tokens, A heads, D head width, C blocks of a row, S tokens in a block, W = 3S tokens in its window

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pretrain.ops.attention import HEADS_FIRST, MASKED_SCORE, same_segment
from pretrain.ops.fused_ops import Tensors, as_float

QUERIES_AT_ONCE = 128  # where all tokens of a row are attended to
HEADS_BEFORE_TOKENS = (0, 1, 3, 2, 4)  # BCSAD to BCASD, and back
LAST_TWO = (0, 1, 2, 4, 3)  # BCASD to BCADS, and back


def attend_locally(
    q_BTAD: tf.Tensor, k_BTAD: tf.Tensor, v_BTAD: tf.Tensor, segments_BT: tf.Tensor, window: int, dtype: tf.DType
) -> Tensors:
    """Attention to tokens at most `window` away, (B x T, A x D), and the tensors that the backward pass needs."""
    _, tokens, a, d = q_BTAD.shape
    q_BCASD, k_BCASD, v_BCASD = (
        tf.transpose(_in_blocks(tf.cast(each, dtype), window), HEADS_BEFORE_TOKENS)
        for each in (q_BTAD * d**-0.5, k_BTAD, v_BTAD)
    )
    scores_BCASW = as_float(tf.matmul(q_BCASD, _windows(tf.transpose(k_BCASD, LAST_TWO), -1)))
    scores_BCASW = tf.where(_seen_in_window(segments_BT, window), scores_BCASW, MASKED_SCORE)
    weights_BCASW = tf.cast(tf.nn.softmax(scores_BCASW), dtype)
    mixed_BCASD = tf.matmul(weights_BCASW, _windows(v_BCASD, -2))
    mixed_BTAD = _out_of_blocks(tf.transpose(mixed_BCASD, HEADS_BEFORE_TOKENS), tokens)
    return tf.reshape(mixed_BTAD, (-1, a * d)), q_BCASD, k_BCASD, v_BCASD, weights_BCASW


def attend_locally_backward(
    dmixed_NH: tf.Tensor,
    segments_BT: tf.Tensor,
    window: int,
    q_BCASD: tf.Tensor,
    k_BCASD: tf.Tensor,
    v_BCASD: tf.Tensor,
    weights_BCASW: tf.Tensor,
) -> Tensors:
    """Gradients of queries, keys and values, (B, T, A, D) float32."""
    tokens, a, d = segments_BT.shape[1], q_BCASD.shape[2], q_BCASD.shape[4]
    dmixed_BTAD = tf.reshape(dmixed_NH, (*segments_BT.shape, a, d))
    dmixed_BCASD = tf.transpose(_in_blocks(dmixed_BTAD, window), HEADS_BEFORE_TOKENS)
    dweights_BCASW = as_float(tf.matmul(dmixed_BCASD, _windows(tf.transpose(v_BCASD, LAST_TWO), -1)))
    product_BCASW = dweights_BCASW * as_float(weights_BCASW)
    sum_BCAS1 = tf.reduce_sum(product_BCASW, -1, keepdims=True)
    dscores_BCASW = tf.cast(product_BCASW - as_float(weights_BCASW) * sum_BCAS1, weights_BCASW.dtype)
    dq_BCASD = as_float(tf.matmul(dscores_BCASW, _windows(k_BCASD, -2))) * d**-0.5
    dk_BCADW = tf.matmul(tf.transpose(q_BCASD, LAST_TWO), dscores_BCASW)
    dv_BCADW = tf.matmul(tf.transpose(dmixed_BCASD, LAST_TWO), weights_BCASW)
    dk_BTAD, dv_BTAD = (
        _out_of_blocks(tf.transpose(_sum_of_windows(as_float(each)), (0, 1, 4, 2, 3)), tokens)
        for each in (dk_BCADW, dv_BCADW)
    )
    return _out_of_blocks(tf.transpose(dq_BCASD, HEADS_BEFORE_TOKENS), tokens), dk_BTAD, dv_BTAD


def attend_in_turn(
    q_BTAD: tf.Tensor, k_BTAD: tf.Tensor, v_BTAD: tf.Tensor, segments_BT: tf.Tensor, dtype: tf.DType
) -> Tensors:
    """Attention to all tokens, a block of queries at a time: (B x T, A x D), and what the backward pass needs.

    That is linear in the tokens.
    """
    _, tokens, a, d = q_BTAD.shape
    q_CBASD, segments_CBS = _query_blocks(tf.cast(q_BTAD * d**-0.5, dtype)), _segment_blocks(segments_BT)
    k_BATD, v_BATD = (tf.transpose(tf.cast(each, dtype), HEADS_FIRST) for each in (k_BTAD, v_BTAD))
    k_BADT = tf.transpose(k_BATD, (0, 1, 3, 2))

    def attend_block(number: tf.Tensor) -> Tensors:
        scores_BAST = _scores(q_CBASD[number], k_BADT, segments_CBS[number], segments_BT)
        most_BAS1 = tf.reduce_max(scores_BAST, -1, keepdims=True)
        weights_BAST = tf.exp(scores_BAST - most_BAS1)
        sum_BAS1 = tf.reduce_sum(weights_BAST, -1, keepdims=True)
        mixed_BASD = as_float(tf.matmul(tf.cast(weights_BAST, dtype), v_BATD)) / sum_BAS1
        return tf.cast(mixed_BASD, dtype), most_BAS1 + tf.math.log(sum_BAS1)

    mixed_CBASD, normalizer_CBAS1 = _for_each_block(attend_block, q_CBASD.shape[0], (dtype, tf.float32))
    mixed_BTAD = _out_of_blocks(tf.transpose(mixed_CBASD, (1, 0, 3, 2, 4)), tokens)
    return tf.reshape(mixed_BTAD, (-1, a * d)), q_CBASD, k_BATD, v_BATD, mixed_CBASD, normalizer_CBAS1


def attend_in_turn_backward(
    dmixed_NH: tf.Tensor,
    segments_BT: tf.Tensor,
    q_CBASD: tf.Tensor,
    k_BATD: tf.Tensor,
    v_BATD: tf.Tensor,
    mixed_CBASD: tf.Tensor,
    normalizer_CBAS1: tf.Tensor,
) -> Tensors:
    """Gradients of queries, keys and values, (B, T, A, D) float32."""
    (_, a, tokens, d), dtype = k_BATD.shape, dmixed_NH.dtype
    dmixed_CBASD = _query_blocks(tf.reshape(dmixed_NH, (*segments_BT.shape, a, d)))
    k_BADT, v_BADT = (tf.transpose(each, (0, 1, 3, 2)) for each in (k_BATD, v_BATD))
    segments_CBS = _segment_blocks(segments_BT)

    def block_gradients(number: tf.Tensor, dk_BADT: tf.Tensor, dv_BADT: tf.Tensor) -> Tensors:
        q_BASD, dmixed_BASD = q_CBASD[number], dmixed_CBASD[number]
        scores_BAST = _scores(q_BASD, k_BADT, segments_CBS[number], segments_BT)
        weights_BAST = tf.exp(scores_BAST - normalizer_CBAS1[number])
        sum_BAS1 = tf.reduce_sum(as_float(dmixed_BASD) * as_float(mixed_CBASD[number]), -1, keepdims=True)
        dscores_BAST = tf.cast(weights_BAST * (as_float(tf.matmul(dmixed_BASD, v_BADT)) - sum_BAS1), dtype)
        dk_BADT += as_float(tf.matmul(tf.transpose(q_BASD, (0, 1, 3, 2)), dscores_BAST))
        dv_BADT += as_float(tf.matmul(tf.transpose(dmixed_BASD, (0, 1, 3, 2)), tf.cast(weights_BAST, dtype)))
        return tf.matmul(dscores_BAST, k_BATD), dk_BADT, dv_BADT

    zeros_BADT = tf.zeros(k_BADT.shape)
    dq_CBASD, dk_BADT, dv_BADT = _for_each_block(block_gradients, q_CBASD.shape[0], (dtype,), (zeros_BADT, zeros_BADT))
    dq_BTAD = _out_of_blocks(tf.transpose(as_float(dq_CBASD) * d**-0.5, (1, 0, 3, 2, 4)), tokens)
    return dq_BTAD, *(tf.transpose(each, (0, 3, 1, 2)) for each in (dk_BADT, dv_BADT))


def _scores(q_BASD: tf.Tensor, k_BADT: tf.Tensor, segments_BS: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
    return tf.where(same_segment(segments_BS, segments_BT), as_float(tf.matmul(q_BASD, k_BADT)), MASKED_SCORE)


def _seen_in_window(segments_BT: tf.Tensor, window: int) -> tf.Tensor:
    """Which tokens of its window each query sees, (B, C, 1, S, W)."""
    segments_BCS = _in_blocks(segments_BT, window)
    segments_BCW = _windows(segments_BCS, -1)
    offsets_SW = tf.range(3 * window) - window - tf.range(window)[:, None]
    is_same_BCSW = segments_BCS[..., None] == segments_BCW[:, :, None]
    return (is_same_BCSW & (segments_BCW > 0)[:, :, None] & (tf.abs(offsets_SW) <= window))[:, :, None]


def _for_each_block(
    function: Callable[..., Tensors], count: int, dtypes: tuple[tf.DType, ...], carried: Tensors = ()
) -> Tensors:
    """The first results of function(number, *carried), of these types, stacked; then the values carried to the end."""

    def body(number: tf.Tensor, arrays: Any, carried: Tensors) -> tuple[tf.Tensor, Any, Tensors]:
        results = function(number, *carried)
        arrays = tuple(array.write(number, each) for array, each in zip(arrays, results, strict=False))
        return number + 1, arrays, tuple(results[len(arrays) :])

    start = tf.constant(0), tuple(tf.TensorArray(dtype, count) for dtype in dtypes), tuple(carried)
    _, arrays, carried = tf.while_loop(lambda number, *_: number < count, body, start, parallel_iterations=1)
    return (*(array.stack() for array in arrays), *carried)


def _in_blocks(x: tf.Tensor, size: int) -> tf.Tensor:
    """(B, T, ...) to (B, C, S, ...), with zeros after the last token."""
    b, tokens, *rest = x.shape
    count = -(-tokens // size)
    padded = tf.pad(x, [(0, 0), (0, count * size - tokens), *((0, 0) for _ in rest)])
    return tf.reshape(padded, (b, count, size, *rest))


def _out_of_blocks(x: tf.Tensor, tokens: int) -> tf.Tensor:
    """(B, C, S, ...) to (B, T, ...)."""
    b, count, size, *rest = x.shape
    return tf.reshape(x, (b, count * size, *rest))[:, :tokens]


def _query_blocks(x_BTAD: tf.Tensor) -> tf.Tensor:
    return tf.transpose(_in_blocks(x_BTAD, QUERIES_AT_ONCE), (1, 0, 3, 2, 4))


def _segment_blocks(segments_BT: tf.Tensor) -> tf.Tensor:
    return tf.transpose(_in_blocks(segments_BT, QUERIES_AT_ONCE), (1, 0, 2))


def _windows(x: tf.Tensor, axis: int) -> tf.Tensor:
    """(B, C, ..., S, ...) to (B, C, ..., W, ...): each block between its neighbours, zeros beyond the ends."""
    outside = tf.zeros_like(x[:, :1])
    return tf.concat([tf.concat([outside, x[:, :-1]], 1), x, tf.concat([x[:, 1:], outside], 1)], axis)


def _sum_of_windows(x_BCADW: tf.Tensor) -> tf.Tensor:
    """The transpose of `_windows`, (B, C, A, D, S)."""
    before, own, after = tf.split(x_BCADW, 3, axis=-1)
    outside = tf.zeros_like(own[:, :1])
    return tf.concat([before[:, 1:], outside], 1) + own + tf.concat([outside, after[:, :-1]], 1)
