"""Attention in long rows, block by block, so that no table of all queries by all keys is made.

Local layers take blocks of queries with their own and the two neighbouring blocks of keys (as Beltagy et al. 2020,
arXiv 2004.05150, section 3.1). Global ones take a block of queries at a time, keep the normalisers alone, and compute
the weights once more in the backward pass (as Dao et al. 2022, arXiv 2205.14135, section 3.1).
"""

# B rows, T tokens, A heads, D head width, C blocks of a row, S tokens in a block, W = 3S tokens in its window

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pretrain.ops.attention import HEADS_FIRST, MASKED_SCORE, same_segment, score_gradients
from pretrain.ops.fused_ops import Tensors, as_float, fused_op

QUERIES_AT_ONCE = 128  # where all tokens of a row are attended to
HEADS_BEFORE_TOKENS = (0, 1, 3, 2, 4)  # BCSAD to BCASD, and back
LAST_TWO = (0, 1, 2, 4, 3)  # BCASD to BCADS, and back


def local_operands(qkv: Tensors, window: int, dtype: tf.DType) -> Tensors:
    """What `attend_locally` reads: scaled queries, windows of keys and values, keys and values in `dtype`.

    `qkv` are queries, keys and values, (B, T, A, D).
    """
    q_BCASD, k_BCASD, v_BCASD = (
        tf.transpose(_in_blocks(tf.cast(each, dtype), window), HEADS_BEFORE_TOKENS)
        for each in (qkv[0] * qkv[0].shape[-1] ** -0.5, *qkv[1:])
    )
    return q_BCASD, _windows(tf.transpose(k_BCASD, LAST_TWO), -1), _windows(v_BCASD, -2), k_BCASD, v_BCASD


def attend_locally(operands: Tensors, segments_BT: tf.Tensor, window: int, causal: bool = False) -> Tensors:
    """Attention to tokens at most `window` away, (B x T, A x D), and the tensors that the backward pass needs.

    `causal`: to none after the token itself.
    """
    q_BCASD, k_BCADW, v_BCAWD, *saved = operands
    weights_BCASW = _local_weights(tf.matmul(q_BCASD, k_BCADW), segments_BT, window, causal)
    mixed_NH = _local_mixed_in_tokens(tf.matmul(weights_BCASW, v_BCAWD), segments_BT.shape[1])
    return mixed_NH, q_BCASD, *saved, weights_BCASW


@fused_op
def _local_weights(scores_BCASW: tf.Tensor, segments_BT: tf.Tensor, window: int, causal: bool) -> tf.Tensor:
    masked_BCASW = tf.where(_seen_in_window(segments_BT, window, causal), as_float(scores_BCASW), MASKED_SCORE)
    return tf.cast(tf.nn.softmax(masked_BCASW), scores_BCASW.dtype)


@fused_op
def _local_mixed_in_tokens(mixed_BCASD: tf.Tensor, tokens: int) -> tf.Tensor:
    mixed_BTAD = _out_of_blocks(tf.transpose(mixed_BCASD, HEADS_BEFORE_TOKENS), tokens)
    return tf.reshape(mixed_BTAD, (-1, mixed_BTAD.shape[2] * mixed_BTAD.shape[3]))


def attend_locally_backward(
    dmixed_NH: tf.Tensor,
    segments_BT: tf.Tensor,
    q_BCASD: tf.Tensor,
    k_BCASD: tf.Tensor,
    v_BCASD: tf.Tensor,
    weights_BCASW: tf.Tensor,
) -> Tensors:
    """Gradients of scaled queries (B, C, A, S, D), and of windows of keys and values (B, C, A, D, W).

    `local_in_tokens` brings them in order.
    """
    dmixed_BCASD, dmixed_BCADS, q_BCADS, k_BCAWD, v_BCADW = _local_backward_operands(
        dmixed_NH, segments_BT, q_BCASD, k_BCASD, v_BCASD
    )
    dscores_BCASW = score_gradients(tf.matmul(dmixed_BCASD, v_BCADW), weights_BCASW)
    dq_BCASD, dk_BCADW = tf.matmul(dscores_BCASW, k_BCAWD), tf.matmul(q_BCADS, dscores_BCASW)
    return dq_BCASD, dk_BCADW, tf.matmul(dmixed_BCADS, weights_BCASW)


@fused_op
def _local_backward_operands(
    dmixed_NH: tf.Tensor, segments_BT: tf.Tensor, q_BCASD: tf.Tensor, k_BCASD: tf.Tensor, v_BCASD: tf.Tensor
) -> Tensors:
    _, _, a, size, d = q_BCASD.shape
    dmixed_BTAD = tf.reshape(dmixed_NH, (*segments_BT.shape, a, d))
    dmixed_BCASD = tf.transpose(_in_blocks(dmixed_BTAD, size), HEADS_BEFORE_TOKENS)
    dmixed_BCADS, q_BCADS, v_BCADS = (tf.transpose(each, LAST_TWO) for each in (dmixed_BCASD, q_BCASD, v_BCASD))
    return dmixed_BCASD, dmixed_BCADS, q_BCADS, _windows(k_BCASD, -2), _windows(v_BCADS, -1)


def local_in_tokens(products: Tensors, tokens: int) -> Tensors:
    """Gradients of queries, keys and values, (B, T, A, D) float32, from those of `attend_locally_backward`."""
    dq_BCASD, dk_BCADW, dv_BCADW = products
    dq_BCSAD = tf.transpose(as_float(dq_BCASD) * dq_BCASD.shape[-1] ** -0.5, HEADS_BEFORE_TOKENS)
    dk_BCSAD, dv_BCSAD = (
        tf.transpose(_sum_of_windows(as_float(each)), (0, 1, 4, 2, 3)) for each in (dk_BCADW, dv_BCADW)
    )
    return tuple(_out_of_blocks(each, tokens) for each in (dq_BCSAD, dk_BCSAD, dv_BCSAD))


def operands_in_turn(qkv: Tensors, dtype: tf.DType) -> Tensors:
    """What `attend_in_turn` reads: blocks of scaled queries, keys and values in `dtype`; `qkv` as `local_operands`."""
    q_CBASD = _query_blocks(tf.cast(qkv[0] * qkv[0].shape[-1] ** -0.5, dtype))
    k_BATD, v_BATD = (tf.transpose(tf.cast(each, dtype), HEADS_FIRST) for each in qkv[1:])
    return q_CBASD, tf.transpose(k_BATD, (0, 1, 3, 2)), k_BATD, v_BATD


def attend_in_turn(operands: Tensors, segments_BT: tf.Tensor, causal: bool = False) -> Tensors:
    """Attention to all tokens, a block of queries at a time: (B x T, A x D), and what the backward pass needs.

    That is linear in the tokens. `causal`: to none after the token itself.
    """
    q_CBASD, k_BADT, k_BATD, v_BATD = operands
    segments_CBS, dtype = _segment_blocks(segments_BT), q_CBASD.dtype

    def attend_block(number: tf.Tensor) -> Tensors:
        scores_BAST = tf.matmul(q_CBASD[number], k_BADT)
        seen_by = _seen_by(number, segments_CBS, segments_BT, causal)
        weights_BAST, sum_BAS1, normalizer_BAS1 = _block_weights(scores_BAST, *seen_by)
        return _normalized(tf.matmul(weights_BAST, v_BATD), sum_BAS1), normalizer_BAS1

    mixed_CBASD, normalizer_CBAS1 = _for_each_block(attend_block, q_CBASD.shape[0], (dtype, tf.float32))
    mixed_NH = _mixed_in_tokens(mixed_CBASD, segments_BT.shape[1])
    return mixed_NH, q_CBASD, k_BATD, v_BATD, mixed_CBASD, normalizer_CBAS1


@fused_op
def _block_weights(scores_BAST: tf.Tensor, *seen_by: tf.Tensor) -> Tensors:
    """Weights that are not divided by their sum yet, their sum, and the logarithm of what they are divided by."""
    masked_BAST = _masked(scores_BAST, *seen_by)
    most_BAS1 = tf.reduce_max(masked_BAST, -1, keepdims=True)
    weights_BAST = tf.exp(masked_BAST - most_BAS1)
    sum_BAS1 = tf.reduce_sum(weights_BAST, -1, keepdims=True)
    return tf.cast(weights_BAST, scores_BAST.dtype), sum_BAS1, most_BAS1 + tf.math.log(sum_BAS1)


@fused_op
def _normalized(mixed_BASD: tf.Tensor, sum_BAS1: tf.Tensor) -> tf.Tensor:
    return tf.cast(as_float(mixed_BASD) / sum_BAS1, mixed_BASD.dtype)


@fused_op
def _mixed_in_tokens(mixed_CBASD: tf.Tensor, tokens: int) -> tf.Tensor:
    mixed_BTAD = _out_of_blocks(tf.transpose(mixed_CBASD, (1, 0, 3, 2, 4)), tokens)
    return tf.reshape(mixed_BTAD, (-1, mixed_BTAD.shape[2] * mixed_BTAD.shape[3]))


def attend_in_turn_backward(
    dmixed_NH: tf.Tensor,
    segments_BT: tf.Tensor,
    causal: bool,
    q_CBASD: tf.Tensor,
    k_BATD: tf.Tensor,
    v_BATD: tf.Tensor,
    mixed_CBASD: tf.Tensor,
    normalizer_CBAS1: tf.Tensor,
) -> Tensors:
    """Gradients of scaled queries (C, B, A, S, D), and of keys and values (B, A, D, T) float32.

    `in_tokens_from_turns` brings them in order.
    """
    dmixed_CBASD, k_BADT, v_BADT = _backward_operands_in_turn(dmixed_NH, segments_BT, k_BATD, v_BATD)
    segments_CBS = _segment_blocks(segments_BT)

    def block_gradients(number: tf.Tensor, dk_BADT: tf.Tensor, dv_BADT: tf.Tensor) -> Tensors:
        q_BASD, dmixed_BASD = q_CBASD[number], dmixed_CBASD[number]
        weights_BAST, dscores_BAST = _block_gradients(
            tf.matmul(q_BASD, k_BADT),
            tf.matmul(dmixed_BASD, v_BADT),
            _seen_by(number, segments_CBS, segments_BT, causal),
            normalizer_CBAS1[number],
            (dmixed_BASD, mixed_CBASD[number]),
        )
        dk_BADT += as_float(tf.matmul(tf.transpose(q_BASD, (0, 1, 3, 2)), dscores_BAST))
        dv_BADT += as_float(tf.matmul(tf.transpose(dmixed_BASD, (0, 1, 3, 2)), weights_BAST))
        return tf.matmul(dscores_BAST, k_BATD), dk_BADT, dv_BADT

    zeros_BADT = tf.zeros(k_BADT.shape)
    return _for_each_block(block_gradients, q_CBASD.shape[0], (q_CBASD.dtype,), (zeros_BADT, zeros_BADT))


@fused_op
def _backward_operands_in_turn(
    dmixed_NH: tf.Tensor, segments_BT: tf.Tensor, k_BATD: tf.Tensor, v_BATD: tf.Tensor
) -> Tensors:
    _, a, _, d = k_BATD.shape
    dmixed_CBASD = _query_blocks(tf.reshape(dmixed_NH, (*segments_BT.shape, a, d)))
    return dmixed_CBASD, *(tf.transpose(each, (0, 1, 3, 2)) for each in (k_BATD, v_BATD))


@fused_op
def _block_gradients(
    scores_BAST: tf.Tensor,
    dweights_BAST: tf.Tensor,
    seen_by: Tensors,
    normalizer_BAS1: tf.Tensor,
    mixed: Tensors,
) -> Tensors:
    """A block's weights, and the gradient of its scores; `mixed` is the gradient of its output, and its output."""
    dmixed_BASD, mixed_BASD = map(as_float, mixed)
    weights_BAST = tf.exp(_masked(scores_BAST, *seen_by) - normalizer_BAS1)
    sum_BAS1 = tf.reduce_sum(dmixed_BASD * mixed_BASD, -1, keepdims=True)
    dscores_BAST = weights_BAST * (as_float(dweights_BAST) - sum_BAS1)
    return tf.cast(weights_BAST, scores_BAST.dtype), tf.cast(dscores_BAST, scores_BAST.dtype)


def in_tokens_from_turns(products: Tensors) -> Tensors:
    """Gradients of queries, keys and values, (B, T, A, D) float32, from those of `attend_in_turn_backward`."""
    dq_CBASD, dk_BADT, dv_BADT = products
    dq_BCSAD = tf.transpose(as_float(dq_CBASD) * dq_CBASD.shape[-1] ** -0.5, (1, 0, 3, 2, 4))
    return _out_of_blocks(dq_BCSAD, dk_BADT.shape[3]), *(
        tf.transpose(each, (0, 3, 1, 2)) for each in (dk_BADT, dv_BADT)
    )


def _seen_by(number: tf.Tensor, segments_CBS: tf.Tensor, segments_BT: tf.Tensor, causal: bool) -> Tensors:
    """What `_masked` needs of a block of queries: their segments, all segments; with `causal` the first one's index."""
    return segments_CBS[number], segments_BT, *((number * QUERIES_AT_ONCE,) if causal else ())


def _masked(
    scores_BAST: tf.Tensor, segments_BS: tf.Tensor, segments_BT: tf.Tensor, first: tf.Tensor | None = None
) -> tf.Tensor:
    seen_B1ST = same_segment(segments_BS, segments_BT)
    if first is not None:
        seen_B1ST &= tf.range(segments_BT.shape[1]) <= first + tf.range(segments_BS.shape[1])[:, None]
    return tf.where(seen_B1ST, as_float(scores_BAST), MASKED_SCORE)


def _seen_in_window(segments_BT: tf.Tensor, window: int, causal: bool) -> tf.Tensor:
    """Which tokens of its window each query sees, (B, C, 1, S, W)."""
    segments_BCS = _in_blocks(segments_BT, window)
    segments_BCW = _windows(segments_BCS, -1)
    offsets_SW = tf.range(3 * window) - window - tf.range(window)[:, None]
    is_same_BCSW = segments_BCS[..., None] == segments_BCW[:, :, None]
    near_SW = tf.abs(offsets_SW) <= window
    near_SW = near_SW & (offsets_SW <= 0) if causal else near_SW
    return (is_same_BCSW & (segments_BCW > 0)[:, :, None] & near_SW)[:, :, None]


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


@fused_op
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
