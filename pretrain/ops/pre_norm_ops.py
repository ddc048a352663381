"""Fused ops of pre-norm layers without biases: a residual sum with its LayerNorm, and gated GELU."""

# N tokens, H hidden, F feed-forward, G = 2F values and gates

import math

import tensorflow as tf

from pretrain.ops.fused_ops import Gradient, Tensors, add_norm_backward, as_float, fused_op, normalized, with_gradient


def sum_norm(
    x_NH: tf.Tensor, residual_NH: tf.Tensor, gamma_H: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """x + residual, and its LayerNorm without shift, both in the dtype of `x_NH`."""

    @with_gradient
    def compute(x_NH: tf.Tensor, residual_NH: tf.Tensor, gamma_H: tf.Tensor) -> tuple[Tensors, Gradient]:
        sum_NH, y_NH, normal_NH, scale_N1 = _sum_norm_forward(x_NH, residual_NH, gamma_H, epsilon)

        def gradient(dsum_NH: tf.Tensor, dy_NH: tf.Tensor) -> Tensors:
            dx_NH, dgamma_H = _sum_norm_backward(dsum_NH, dy_NH, normal_NH, scale_N1, gamma_H)
            return dx_NH, dx_NH, dgamma_H

        return (sum_NH, y_NH), gradient

    return compute(x_NH, residual_NH, gamma_H)


@with_gradient
def gated_gelu(x_NG: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """GELU of the first half times the second, (N, F): GEGLU (Shazeer 2020, arXiv 2002.05202)."""

    def gradient(dy_NF: tf.Tensor) -> tf.Tensor:
        return _gated_gelu_backward(dy_NF, x_NG)

    return _gated_gelu_forward(x_NG), gradient


@fused_op
def _sum_norm_forward(x_NH: tf.Tensor, residual_NH: tf.Tensor, gamma_H: tf.Tensor, epsilon: float) -> Tensors:
    sum_NH = as_float(x_NH) + as_float(residual_NH)
    return tf.cast(sum_NH, x_NH.dtype), *normalized(sum_NH, gamma_H, tf.zeros_like(gamma_H), epsilon, x_NH.dtype)


@fused_op
def _sum_norm_backward(
    dsum_NH: tf.Tensor, dy_NH: tf.Tensor, normal_NH: tf.Tensor, scale_N1: tf.Tensor, gamma_H: tf.Tensor
) -> Tensors:
    dx_NH, _, dgamma_H, _ = add_norm_backward(as_float(dy_NH), normal_NH, scale_N1, gamma_H)
    return tf.cast(dx_NH + as_float(dsum_NH), dy_NH.dtype), dgamma_H


@fused_op
def _gated_gelu_forward(x_NG: tf.Tensor) -> tf.Tensor:
    value_NF, gate_NF = tf.split(as_float(x_NG), 2, axis=-1)
    return tf.cast(tf.nn.gelu(value_NF, approximate=False) * gate_NF, x_NG.dtype)


@fused_op
def _gated_gelu_backward(dy_NF: tf.Tensor, x_NG: tf.Tensor) -> tf.Tensor:
    dy_NF, (value_NF, gate_NF) = as_float(dy_NF), tf.split(as_float(x_NG), 2, axis=-1)
    cumulative_NF = 0.5 * (1 + tf.math.erf(value_NF * math.sqrt(0.5)))
    density_NF = tf.exp(-0.5 * tf.square(value_NF)) * (1 / math.sqrt(2 * math.pi))
    dvalue_NF = dy_NF * gate_NF * (cumulative_NF + value_NF * density_NF)
    return tf.cast(tf.concat([dvalue_NF, dy_NF * value_NF * cumulative_NF], -1), x_NG.dtype)
