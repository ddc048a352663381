"""Fused ops: the elementwise ops between two matrix products as one XLA kernel, with hand-written gradients.

On a CPU, matrix products are fastest outside XLA (oneDNN) and elementwise ops inside it. On an accelerator XLA compiles
the whole step and inlines these. Each forward pass saves only what its backward pass needs, in the precision of the
matrix products; sums are in float32.
"""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, Q queries a row (T or P)
# A heads, D head width, H hidden, F feed-forward, V vocabulary, K = 3H queries, keys and values, J = 2H keys and values

import math
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

MASKED_SCORE = -1e9  # finite, so that a row of padding gives a uniform softmax and not NaN

HEADS_FIRST = (0, 2, 1, 3)  # BTAD to BATD, and back
TOKENS_LAST, TOKENS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # BTAD to BADT, and back

Tensors = tuple[tf.Tensor, ...]
Gradient = Callable[..., Tensors]
Function = TypeVar("Function", bound=Callable[..., Any])
with_gradient: Callable[[Function], Function] = tf.custom_gradient


def fused_op(function: Function) -> Function:
    """Decorator: XLA compiles the function as one kernel, or inlines it in the XLA program that calls it."""
    compiled: Function = tf.function(function, jit_compile=True, autograph=False)
    return compiled


def add_norm(
    x_NH: tf.Tensor, residual_NH: tf.Tensor, bias_H: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """LayerNorm(x + bias + residual), in the dtype of `x_NH` (Ba et al. 2016, arXiv 1607.06450)."""

    @with_gradient
    def compute(
        x_NH: tf.Tensor, residual_NH: tf.Tensor, bias_H: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor
    ) -> tuple[tf.Tensor, Gradient]:
        y_NH, normal_NH, scale_N1 = _add_norm_forward(x_NH, residual_NH, bias_H, gamma_H, beta_H, epsilon)

        def gradient(dy_NH: tf.Tensor) -> Tensors:
            dx_NH, dbias_H, dgamma_H, dbeta_H = add_norm_backward(dy_NH, normal_NH, scale_N1, gamma_H)
            return dx_NH, dx_NH, dbias_H, dgamma_H, dbeta_H

        return y_NH, gradient

    return compute(x_NH, residual_NH, bias_H, gamma_H, beta_H)


def norm(x_NH: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor, epsilon: float, dtype: tf.DType) -> tf.Tensor:
    """LayerNorm of `x_NH`, in `dtype`; its gradient has the dtype of `x_NH`."""

    @with_gradient
    def compute(x_NH: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        y_NH, normal_NH, scale_N1 = _norm_forward(x_NH, gamma_H, beta_H, epsilon, dtype)

        def gradient(dy_NH: tf.Tensor) -> Tensors:
            dx_NH, _, dgamma_H, dbeta_H = add_norm_backward(dy_NH, normal_NH, scale_N1, gamma_H)
            return tf.cast(dx_NH, x_NH.dtype), dgamma_H, dbeta_H

        return y_NH, gradient

    return compute(x_NH, gamma_H, beta_H)


@with_gradient
def bias_gelu(x_NF: tf.Tensor, bias_F: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """GELU(x + bias), the exact form with erf (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""

    def gradient(dy_NF: tf.Tensor) -> Tensors:
        return _bias_gelu_backward(dy_NF, x_NF, bias_F)

    return _bias_gelu_forward(x_NF, bias_F), gradient


def attention(qkv_NK: tf.Tensor, bias_K: tf.Tensor, segments_BT: tf.Tensor, num_heads: int) -> tf.Tensor:
    """Self-attention within each segment, (N, H), from the joint projection of queries, keys and values.

    Vaswani et al. 2017 (arXiv 1706.03762), section 3.2. Its own matrix products are small. Inside XLA, with operands
    laid out for contiguous reads, they take half the time that they take outside.
    """

    @with_gradient
    def compute(qkv_NK: tf.Tensor, bias_K: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        mixed_NH, *saved = _attention_forward(qkv_NK, bias_K, segments_BT, num_heads)

        def gradient(dmixed_NH: tf.Tensor) -> Tensors:
            return _attention_backward(dmixed_NH, *saved)

        return mixed_NH, gradient

    return compute(qkv_NK, bias_K)


def attention_at(
    q_MH: tf.Tensor,
    kv_NJ: tf.Tensor,
    bias_K: tf.Tensor,
    positions_BP: tf.Tensor,
    segments_BT: tf.Tensor,
    num_heads: int,
) -> tf.Tensor:
    """Self-attention of the tokens at some positions of each row, (M, H), to all tokens of their segments.

    `q_MH` are the queries of these tokens; `kv_NJ` the keys and values of all tokens.
    """

    @with_gradient
    def compute(q_MH: tf.Tensor, kv_NJ: tf.Tensor, bias_K: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        mixed_MH, *saved = _attention_at_forward(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads)

        def gradient(dmixed_MH: tf.Tensor) -> Tensors:
            return _attention_at_backward(dmixed_MH, *saved)

        return mixed_MH, gradient

    return compute(q_MH, kv_NJ, bias_K)


def weighted_cross_entropy(
    logits_MV: tf.Tensor, bias_V: tf.Tensor, targets_M: tf.Tensor, weights_M: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Weighted sums over positions of the cross entropy of softmax(logits + bias) and of correct predictions.

    Two float32 scalars; only the first has a gradient.
    """

    @with_gradient
    def compute(logits_MV: tf.Tensor, bias_V: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        loss, correct, normalizer_M1 = _cross_entropy_forward(logits_MV, bias_V, targets_M, weights_M)

        def gradient(dloss: tf.Tensor, _: tf.Tensor) -> Tensors:
            return _cross_entropy_backward(dloss, logits_MV, bias_V, normalizer_M1, targets_M, weights_M)

        return (loss, correct), gradient

    return compute(logits_MV, bias_V)


def as_float(x: tf.Tensor) -> tf.Tensor:
    """In float32."""
    return tf.cast(x, tf.float32)


def normalized(x_NH: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor, epsilon: float, dtype: tf.DType) -> Tensors:
    """LayerNorm of `x_NH` in `dtype`, and what the backward pass needs: the normalised states and their scales."""
    mean_N1 = tf.reduce_mean(x_NH, -1, keepdims=True)
    centred_NH = x_NH - mean_N1
    scale_N1 = tf.math.rsqrt(tf.reduce_mean(tf.square(centred_NH), -1, keepdims=True) + epsilon)
    normal_NH = centred_NH * scale_N1
    return tf.cast(normal_NH * gamma_H + beta_H, dtype), tf.cast(normal_NH, dtype), scale_N1


@fused_op
def _add_norm_forward(
    x_NH: tf.Tensor, residual_NH: tf.Tensor, bias_H: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor, epsilon: float
) -> Tensors:
    return normalized(as_float(x_NH) + as_float(residual_NH) + bias_H, gamma_H, beta_H, epsilon, x_NH.dtype)


@fused_op
def _norm_forward(x_NH: tf.Tensor, gamma_H: tf.Tensor, beta_H: tf.Tensor, epsilon: float, dtype: tf.DType) -> Tensors:
    return normalized(as_float(x_NH), gamma_H, beta_H, epsilon, dtype)


@fused_op
def add_norm_backward(dy_NH: tf.Tensor, normal_NH: tf.Tensor, scale_N1: tf.Tensor, gamma_H: tf.Tensor) -> Tensors:
    """Gradients of the input, of a bias added to it, of scale and shift."""
    dy_NH, normal_NH, dtype = as_float(dy_NH), as_float(normal_NH), dy_NH.dtype
    dnormal_NH = dy_NH * gamma_H
    mean_N1 = tf.reduce_mean(dnormal_NH, -1, keepdims=True)
    slope_N1 = tf.reduce_mean(dnormal_NH * normal_NH, -1, keepdims=True)
    dx_NH = scale_N1 * (dnormal_NH - mean_N1 - normal_NH * slope_N1)
    return tf.cast(dx_NH, dtype), tf.reduce_sum(dx_NH, 0), tf.reduce_sum(dy_NH * normal_NH, 0), tf.reduce_sum(dy_NH, 0)


@fused_op
def _bias_gelu_forward(x_NF: tf.Tensor, bias_F: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.nn.gelu(as_float(x_NF) + bias_F, approximate=False), x_NF.dtype)


@fused_op
def _bias_gelu_backward(dy_NF: tf.Tensor, x_NF: tf.Tensor, bias_F: tf.Tensor) -> Tensors:
    shifted_NF = as_float(x_NF) + bias_F
    cumulative_NF = 0.5 * (1 + tf.math.erf(shifted_NF * math.sqrt(0.5)))
    density_NF = tf.exp(-0.5 * tf.square(shifted_NF)) * (1 / math.sqrt(2 * math.pi))
    dx_NF = as_float(dy_NF) * (cumulative_NF + shifted_NF * density_NF)
    return tf.cast(dx_NF, x_NF.dtype), tf.reduce_sum(dx_NF, 0)


@fused_op
def _attention_forward(qkv_NK: tf.Tensor, bias_K: tf.Tensor, segments_BT: tf.Tensor, num_heads: int) -> Tensors:
    x_BT3AD = in_heads(as_float(qkv_NK) + bias_K, segments_BT, 3, num_heads)
    q_BTAD, k_BTAD, v_BTAD = tf.unstack(x_BT3AD, axis=2)
    return attend(q_BTAD, k_BTAD, v_BTAD, same_segment(segments_BT, segments_BT), qkv_NK.dtype)


@fused_op
def _attention_backward(dmixed_NH: tf.Tensor, *saved: tf.Tensor) -> Tensors:
    d_BT3AD = tf.stack(attend_backward(dmixed_NH, *saved), axis=2)
    d_NK = tf.reshape(d_BT3AD, (dmixed_NH.shape[0], -1))
    return tf.cast(d_NK, dmixed_NH.dtype), tf.reduce_sum(d_NK, 0)


@fused_op
def _attention_at_forward(
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
    segments_BP = tf.gather(segments_BT, positions_BP, batch_dims=1)
    return attend(q_BPAD, k_BTAD, v_BTAD, same_segment(segments_BP, segments_BT), q_MH.dtype)


@fused_op
def _attention_at_backward(dmixed_MH: tf.Tensor, *saved: tf.Tensor) -> Tensors:
    dq_BPAD, dk_BTAD, dv_BTAD = attend_backward(dmixed_MH, *saved)
    dq_MH = tf.reshape(dq_BPAD, dmixed_MH.shape)
    dkv_NJ = tf.reshape(tf.stack([dk_BTAD, dv_BTAD], axis=2), (-1, 2 * dmixed_MH.shape[1]))
    dbias_K = tf.concat([tf.reduce_sum(dq_MH, 0), tf.reduce_sum(dkv_NJ, 0)], 0)
    return tf.cast(dq_MH, dmixed_MH.dtype), tf.cast(dkv_NJ, dmixed_MH.dtype), dbias_K


def in_heads(x_NK: tf.Tensor, table_BT: tf.Tensor, count: int, num_heads: int) -> tf.Tensor:
    """Reshape (B x T, count x A x D) to (B, T, count, A, D); `table_BT` has the first two sizes."""
    return tf.reshape(x_NK, (*table_BT.shape, count, num_heads, x_NK.shape[1] // (count * num_heads)))


def same_segment(segments_BQ: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
    """Which tokens each query sees, (B, 1, Q, T): those of its segment, and no padding."""
    return (segments_BQ[:, None, :, None] == segments_BT[:, None, None, :]) & (segments_BT > 0)[:, None, None, :]


def attend(q_BQAD: tf.Tensor, k_BTAD: tf.Tensor, v_BTAD: tf.Tensor, seen_B1QT: tf.Tensor, dtype: tf.DType) -> Tensors:
    """Attention of Q queries a row to its tokens, (B x Q, A x D), and the tensors that the backward pass needs."""
    b, queries, a, d = q_BQAD.shape
    q_BQAD, k_BTAD, v_BTAD = (tf.cast(each, dtype) for each in (q_BQAD * d**-0.5, k_BTAD, v_BTAD))
    scores_BAQT = tf.matmul(tf.transpose(q_BQAD, HEADS_FIRST), tf.transpose(k_BTAD, TOKENS_LAST))
    weights_BAQT = tf.cast(tf.nn.softmax(tf.where(seen_B1QT, as_float(scores_BAQT), MASKED_SCORE)), dtype)
    mixed_BAQD = tf.matmul(weights_BAQT, tf.transpose(v_BTAD, HEADS_FIRST))
    mixed = tf.reshape(tf.transpose(mixed_BAQD, HEADS_FIRST), (b * queries, a * d))
    orders = (q_BQAD, TOKENS_LAST), (k_BTAD, HEADS_FIRST), (v_BTAD, TOKENS_LAST)
    return mixed, *(tf.transpose(each, order) for each, order in orders), weights_BAQT


def attend_backward(
    dmixed: tf.Tensor, q_BADQ: tf.Tensor, k_BATD: tf.Tensor, v_BADT: tf.Tensor, weights_BAQT: tf.Tensor
) -> Tensors:
    """Gradients of queries, keys and values, (B, Q or T, A, D) float32."""
    b, a, d, queries = q_BADQ.shape
    dmixed_BQAD = tf.reshape(dmixed, (b, queries, a, d))
    dweights_BAQT = tf.matmul(tf.transpose(dmixed_BQAD, HEADS_FIRST), v_BADT)
    product_BAQT = as_float(dweights_BAQT) * as_float(weights_BAQT)
    sum_BAQ1 = tf.reduce_sum(product_BAQT, -1, keepdims=True)
    dscores_BAQT = tf.cast(product_BAQT - as_float(weights_BAQT) * sum_BAQ1, weights_BAQT.dtype)
    dq_BQAD = tf.transpose(tf.matmul(dscores_BAQT, k_BATD), HEADS_FIRST)
    dk_BTAD = tf.transpose(tf.matmul(q_BADQ, dscores_BAQT), TOKENS_FIRST)
    dv_BTAD = tf.transpose(tf.matmul(tf.transpose(dmixed_BQAD, TOKENS_LAST), weights_BAQT), TOKENS_FIRST)
    return as_float(dq_BQAD) * d**-0.5, as_float(dk_BTAD), as_float(dv_BTAD)


@fused_op
def _cross_entropy_forward(
    logits_MV: tf.Tensor, bias_V: tf.Tensor, targets_M: tf.Tensor, weights_M: tf.Tensor
) -> Tensors:
    shifted_MV = as_float(logits_MV) + bias_V
    normalizer_M1 = tf.reduce_logsumexp(shifted_MV, -1, keepdims=True)
    correct_logit_M = tf.reduce_sum(tf.where(_is_target(targets_M, shifted_MV), shifted_MV, 0.0), -1)
    correct_M = as_float(correct_logit_M >= tf.reduce_max(shifted_MV, -1))
    losses_M = normalizer_M1[:, 0] - correct_logit_M
    return tf.reduce_sum(losses_M * weights_M), tf.reduce_sum(correct_M * weights_M), normalizer_M1


@fused_op
def _cross_entropy_backward(
    dloss: tf.Tensor,
    logits_MV: tf.Tensor,
    bias_V: tf.Tensor,
    normalizer_M1: tf.Tensor,
    targets_M: tf.Tensor,
    weights_M: tf.Tensor,
) -> Tensors:
    probability_MV = tf.exp(as_float(logits_MV) + bias_V - normalizer_M1)
    dlogits_MV = (probability_MV - as_float(_is_target(targets_M, probability_MV))) * (dloss * weights_M)[:, None]
    return tf.cast(dlogits_MV, logits_MV.dtype), tf.reduce_sum(dlogits_MV, 0)


def _is_target(targets_M: tf.Tensor, like_MV: tf.Tensor) -> tf.Tensor:
    return tf.range(like_MV.shape[1])[None, :] == targets_M[:, None]
