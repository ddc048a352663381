"""Fused attention with rotary positions (Su et al. 2021, arXiv 2104.09864), to all tokens or in a window."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, A heads, D head width, R = D / 2, H hidden
# K = 3H queries, keys and values, J = 2H keys and values

from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from pretrain.ops.attention import attend, attend_backward, in_heads, in_tokens, operands_of, same_segment
from pretrain.ops.blocked_attention import (
    attend_in_turn,
    attend_in_turn_backward,
    attend_locally,
    attend_locally_backward,
    in_tokens_from_turns,
    local_in_tokens,
    local_operands,
    operands_in_turn,
)
from pretrain.ops.fused_ops import Gradient, Tensors, as_float, fused_op, whole_or_parts, with_gradient

LONGEST_WHOLE = 256  # tokens of a row whose table of weights is made whole: 256 kB a head

Way = Literal["whole", "locally", "in turn"]


class Rotation(NamedTuple):
    """Cosines and sines of each token's angles, (B, T, R) float32."""

    cos_BTR: tf.Tensor
    sin_BTR: tf.Tensor


def rotation(positions_BT: tf.Tensor, head_dim: int, base: float) -> Rotation:
    """The rotation of each position: angle number r is position / base ** (r / R)."""
    # in float32, as PyTorch transformers: at position 8,000, a rate that differs by its rounding turns by 5e-4 more
    rates_R = np.float32(1) / np.float32(base) ** (np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim))
    angles_BTR = tf.cast(positions_BT, tf.float32)[:, :, None] * rates_R
    return Rotation(tf.cos(angles_BTR), tf.sin(angles_BTR))


def rotary_attention(
    qkv_NK: tf.Tensor, turn: Rotation, segments_BT: tf.Tensor, num_heads: int, window: int, causal: bool = False
) -> tf.Tensor:
    """Self-attention within each segment, (N, H), from the joint projection of queries, keys and values.

    A token attends to the tokens of its segment that are at most `window` away, 0 for all of them; with `causal` to
    none after itself.
    """
    way = _way(segments_BT.shape[1], window)

    @with_gradient
    def compute(qkv_NK: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        forward, backward = whole_or_parts(_forward, qkv_NK.dtype), whole_or_parts(_backward, qkv_NK.dtype)
        mixed_NH, *saved = forward(qkv_NK, turn, segments_BT, num_heads, window, way, causal)

        def gradient(dmixed_NH: tf.Tensor) -> tf.Tensor:
            return backward(dmixed_NH, turn, segments_BT, way, causal, *saved)

        return mixed_NH, gradient

    return compute(qkv_NK)


def rotary_attention_at(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    turn: Rotation,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
    window: int,
) -> tf.Tensor:
    """Self-attention of the tokens at some positions of each row, (M, H), to the tokens of their segments.

    `q_MH` are the queries of these tokens; `kv_NJ` the keys and values of all tokens.
    """

    @with_gradient
    def compute(q_MH: tf.Tensor, kv_NJ: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        forward, backward = (whole_or_parts(op, q_MH.dtype) for op in (_at_forward, _at_backward))
        mixed_MH, *saved = forward(q_MH, kv_NJ, turn, positions_BP, segments_BT, num_heads, window)

        def gradient(dmixed_MH: tf.Tensor) -> Tensors:
            return backward(dmixed_MH, turn, positions_BP, *saved)

        return mixed_MH, gradient

    return compute(q_MH, kv_NJ)


def _way(tokens: int, window: int) -> Way:
    if window:
        return "locally" if tokens > 3 * window else "whole"
    return "in turn" if tokens > LONGEST_WHOLE else "whole"


@fused_op
def _forward(
    qkv_NK: tf.Tensor,
    turn: Rotation,
    segments_BT: tf.Tensor,
    num_heads: int,
    window: int,
    way: Way,
    causal: bool = False,
) -> Tensors:
    operands = _operands(qkv_NK, turn, segments_BT, num_heads, window, way)
    if way == "locally":
        return attend_locally(operands, segments_BT, window, causal)
    if way == "in turn":
        return attend_in_turn(operands, segments_BT, causal)
    return attend(operands, _seen(segments_BT, window, causal))


@fused_op
def _operands(
    qkv_NK: tf.Tensor, turn: Rotation, segments_BT: tf.Tensor, num_heads: int, window: int, way: Way
) -> Tensors:
    q_BTAD, k_BTAD, v_BTAD = tf.unstack(in_heads(as_float(qkv_NK), segments_BT, 3, num_heads), axis=2)
    qkv = _rotated(q_BTAD, turn), _rotated(k_BTAD, turn), v_BTAD
    if way == "locally":
        return local_operands(qkv, window, qkv_NK.dtype)
    return operands_in_turn(qkv, qkv_NK.dtype) if way == "in turn" else operands_of(qkv, qkv_NK.dtype)


@fused_op
def _seen(segments_BT: tf.Tensor, window: int, causal: bool) -> tf.Tensor:
    index_T = tf.range(segments_BT.shape[1])
    distances_TT = index_T[:, None] - index_T
    near_B1TT = _near(same_segment(segments_BT, segments_BT), distances_TT, window)
    return near_B1TT & (distances_TT >= 0) if causal else near_B1TT


@fused_op
def _backward(
    dmixed_NH: tf.Tensor, turn: Rotation, segments_BT: tf.Tensor, way: Way, causal: bool, *saved: tf.Tensor
) -> tf.Tensor:
    if way == "locally":
        products = attend_locally_backward(dmixed_NH, segments_BT, *saved)
    elif way == "in turn":
        products = attend_in_turn_backward(dmixed_NH, segments_BT, causal, *saved)
    else:
        products = attend_backward(dmixed_NH, *saved)[:3]
    return _projection_gradient(products, turn, way, dmixed_NH)


@fused_op
def _projection_gradient(products: Tensors, turn: Rotation, way: Way, like_NH: tf.Tensor) -> tf.Tensor:
    if way == "locally":
        dq_BTAD, dk_BTAD, dv_BTAD = local_in_tokens(products, turn.cos_BTR.shape[1])
    else:
        dq_BTAD, dk_BTAD, dv_BTAD = in_tokens_from_turns(products) if way == "in turn" else in_tokens(products)
    back = _inverse(turn)
    d_BT3AD = tf.stack([_rotated(dq_BTAD, back), _rotated(dk_BTAD, back), dv_BTAD], axis=2)
    return tf.cast(tf.reshape(d_BT3AD, (like_NH.shape[0], -1)), like_NH.dtype)


@fused_op
def _at_forward(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    turn: Rotation,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
    window: int,
) -> Tensors:
    operands = _operands_at(q_MH, kv_NJ, turn, positions_BP, segments_BT, num_heads)
    return attend(operands, _seen_at(positions_BP, segments_BT, window))


@fused_op
def _operands_at(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    turn: Rotation,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
) -> Tensors:
    q_BPAD = in_heads(as_float(q_MH), positions_BP, 1, num_heads)[:, :, 0]
    k_BTAD, v_BTAD = tf.unstack(in_heads(as_float(kv_NJ), segments_BT, 2, num_heads), axis=2)
    rotated = _rotated(q_BPAD, _turn_at(turn, positions_BP)), _rotated(k_BTAD, turn)
    return operands_of((*rotated, v_BTAD), q_MH.dtype)


@fused_op
def _seen_at(positions_BP: tf.Tensor, segments_BT: tf.Tensor, window: int) -> tf.Tensor:
    segments_BP = tf.gather(segments_BT, positions_BP, batch_dims=1)
    distances_B1PT = positions_BP[:, None, :, None] - tf.range(segments_BT.shape[1])
    return _near(same_segment(segments_BP, segments_BT), distances_B1PT, window)


@fused_op
def _at_backward(dmixed_MH: tf.Tensor, turn: Rotation, positions_BP: tf.Tensor, *saved: tf.Tensor) -> Tensors:
    return _projection_gradients_at(attend_backward(dmixed_MH, *saved)[:3], turn, positions_BP, dmixed_MH)


@fused_op
def _projection_gradients_at(products: Tensors, turn: Rotation, positions_BP: tf.Tensor, like_MH: tf.Tensor) -> Tensors:
    dq_BPAD, dk_BTAD, dv_BTAD = in_tokens(products)
    dq_BPAD, dk_BTAD = _rotated(dq_BPAD, _inverse(_turn_at(turn, positions_BP))), _rotated(dk_BTAD, _inverse(turn))
    dkv_NJ = tf.reshape(tf.stack([dk_BTAD, dv_BTAD], axis=2), (-1, 2 * like_MH.shape[1]))
    return tf.cast(tf.reshape(dq_BPAD, like_MH.shape), like_MH.dtype), tf.cast(dkv_NJ, like_MH.dtype)


def _near(seen: tf.Tensor, distances: tf.Tensor, window: int) -> tf.Tensor:
    return seen & (tf.abs(distances) <= window) if window else seen


def _rotated(x_BTAD: tf.Tensor, turn: Rotation) -> tf.Tensor:
    """Rotates each pair of a value in the first half and the one at its place in the second."""
    cos_BT1R, sin_BT1R = (each[:, :, None] for each in turn)
    first_BTAR, second_BTAR = tf.split(x_BTAD, 2, axis=-1)
    turned = first_BTAR * cos_BT1R - second_BTAR * sin_BT1R, second_BTAR * cos_BT1R + first_BTAR * sin_BT1R
    return tf.concat(turned, -1)


def _inverse(turn: Rotation) -> Rotation:
    return Rotation(turn.cos_BTR, -turn.sin_BTR)


def _turn_at(turn: Rotation, positions_BP: tf.Tensor) -> Rotation:
    return Rotation(*(tf.gather(each, positions_BP, batch_dims=1) for each in turn))
