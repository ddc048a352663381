"""Fused ops: the elementwise ops between two matrix products as one XLA kernel, with hand-written gradients.

On a CPU, matrix products are fastest outside XLA (oneDNN) and elementwise ops inside it. On an accelerator XLA compiles
the whole step and inlines these. Each forward pass saves only what its backward pass needs, in the precision of the
matrix products; sums are in float32.
"""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, H hidden, F feed-forward, V vocabulary

import math
from collections.abc import Callable
from typing import Any, TypeVar

import tensorflow as tf

Tensors = tuple[tf.Tensor, ...]
Gradient = Callable[..., Tensors]
Function = TypeVar("Function", bound=Callable[..., Any])
with_gradient: Callable[[Function], Function] = tf.custom_gradient


def fused_op(function: Function) -> Function:
    """Decorator: XLA compiles the function as one kernel, or inlines it in the XLA program that calls it."""
    compiled: Function = tf.function(function, jit_compile=True, autograph=False)
    return compiled


def whole_or_parts(op: Function, dtype: tf.DType) -> Function:
    """A fused op for its products' dtype: for bfloat16 its function, whose products TensorFlow computes one by one.

    XLA has no bfloat16 products on a CPU: it computes them in float32, with conversions. oneDNN, which multiplies
    outside XLA, uses the processor's own. The op's function consists of fused ops and products. Where XLA compiles the
    whole step, as on accelerators, this makes no difference.
    """
    if dtype == tf.float32:
        return op
    function: Function = op.python_function  # type: ignore[attr-defined]  # fused_op makes a tf.function
    return function


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
    """LayerNorm in `dtype`, and for its gradient the normal values in `dtype` and their scale in float32."""
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
    """Gradients of LayerNorm's input, of a bias in it, of its scale and of its shift."""
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
