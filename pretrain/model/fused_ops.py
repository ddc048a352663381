"""The elementwise chains between matrix products, each compiled by XLA as one kernel, with hand-written gradients.

On a CPU the products run fastest outside XLA (oneDNN) and these chains inside it; on an accelerator, where the whole
step is compiled, XLA inlines them. Each forward saves what its backward needs in the products' own precision, and
no more; sums are taken in float32.
"""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, Q queries a row (T or P)
# A heads, D head width, H hidden, F feed-forward, V vocabulary

import math

import tensorflow as tf

NOT_ATTENDED = -1e9  # finite, so that a row of padding gives a uniform softmax and not NaN

HEADS_FIRST = (0, 2, 1, 3)
"""BTAD to BATD, and back."""
TOKENS_LAST, TOKENS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""BTAD to BADT, and back."""

island = tf.function(jit_compile=True, autograph=False)


def add_norm(x_NH, residual_NH, bias_H, gamma_H, beta_H, epsilon: float):
    """LayerNorm(x + bias + residual), in the dtype of `x_NH`. Ba et al. 2016 (arXiv 1607.06450)."""

    @tf.custom_gradient
    def compute(x_NH, residual_NH, bias_H, gamma_H, beta_H):
        y_NH, normal_NH, scale_N1 = _add_norm_forward(x_NH, residual_NH, bias_H, gamma_H, beta_H, epsilon)

        def gradient(dy_NH):
            dx_NH, dbias_H, dgamma_H, dbeta_H = _add_norm_backward(dy_NH, normal_NH, scale_N1, gamma_H)
            return dx_NH, dx_NH, dbias_H, dgamma_H, dbeta_H

        return y_NH, gradient

    return compute(x_NH, residual_NH, bias_H, gamma_H, beta_H)


def norm(x_NH, gamma_H, beta_H, epsilon: float, dtype: tf.DType):
    """LayerNorm of `x_NH`, given out in `dtype`; the gradient comes in the dtype of `x_NH`."""

    @tf.custom_gradient
    def compute(x_NH, gamma_H, beta_H):
        y_NH, normal_NH, scale_N1 = _norm_forward(x_NH, gamma_H, beta_H, epsilon, dtype)

        def gradient(dy_NH):
            dx_NH, _, dgamma_H, dbeta_H = _add_norm_backward(dy_NH, normal_NH, scale_N1, gamma_H)
            return tf.cast(dx_NH, x_NH.dtype), dgamma_H, dbeta_H

        return y_NH, gradient

    return compute(x_NH, gamma_H, beta_H)


@tf.custom_gradient
def bias_gelu(x_NF, bias_F):
    """GELU(x + bias), the exact form with erf (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""

    def gradient(dy_NF):
        return _bias_gelu_backward(dy_NF, x_NF, bias_F)

    return _bias_gelu_forward(x_NF, bias_F), gradient


def attention(qkv_NK, bias_K, segments_BT, num_heads: int):
    """Attention of each token to its own segment's, (N, H), from a product with the joint kernel, K = 3H.

    Vaswani et al. 2017 (arXiv 1706.03762), section 3.2. Its own products are small, and inside XLA, with operands laid
    out so that none is read across, they take half of the time that they take outside.
    """

    @tf.custom_gradient
    def compute(qkv_NK, bias_K):
        mixed_NH, *saved = _attention_forward(qkv_NK, bias_K, segments_BT, num_heads)

        def gradient(dmixed_NH):
            return _attention_backward(dmixed_NH, *saved)

        return mixed_NH, gradient

    return compute(qkv_NK, bias_K)


def attention_at(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads: int):
    """The same of the tokens at some positions of each row, (M, H), from their product with the queries' kernel alone.

    All tokens are attended to: `kv_NJ`, J = 2H, is their product with the kernels of keys and values.
    """

    @tf.custom_gradient
    def compute(q_MH, kv_NJ, bias_K):
        mixed_MH, *saved = _attention_at_forward(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads)

        def gradient(dmixed_MH):
            return _attention_at_backward(dmixed_MH, *saved)

        return mixed_MH, gradient

    return compute(q_MH, kv_NJ, bias_K)


def weighted_cross_entropy(logits_MV, bias_V, targets_M, weights_M):
    """Sum over positions of weight x cross entropy of softmax(logits + bias), and of weight x (argmax is right).

    Returns (loss sum, correct sum), float32 scalars; the gradient flows through the first.
    """

    @tf.custom_gradient
    def compute(logits_MV, bias_V):
        loss, correct, normalizer_M1 = _cross_entropy_forward(logits_MV, bias_V, targets_M, weights_M)

        def gradient(dloss, _):
            return _cross_entropy_backward(dloss, logits_MV, bias_V, normalizer_M1, targets_M, weights_M)

        return (loss, correct), gradient

    return compute(logits_MV, bias_V)


def _float(x):
    return tf.cast(x, tf.float32)


def _normalized(x_NH, gamma_H, beta_H, epsilon, dtype):
    mean_N1 = tf.reduce_mean(x_NH, -1, keepdims=True)
    centred_NH = x_NH - mean_N1
    scale_N1 = tf.math.rsqrt(tf.reduce_mean(tf.square(centred_NH), -1, keepdims=True) + epsilon)
    normal_NH = centred_NH * scale_N1
    return tf.cast(normal_NH * gamma_H + beta_H, dtype), tf.cast(normal_NH, dtype), scale_N1


@island
def _add_norm_forward(x_NH, residual_NH, bias_H, gamma_H, beta_H, epsilon):
    return _normalized(_float(x_NH) + _float(residual_NH) + bias_H, gamma_H, beta_H, epsilon, x_NH.dtype)


@island
def _norm_forward(x_NH, gamma_H, beta_H, epsilon, dtype):
    return _normalized(_float(x_NH), gamma_H, beta_H, epsilon, dtype)


@island
def _add_norm_backward(dy_NH, normal_NH, scale_N1, gamma_H):
    dy_NH, normal_NH, dtype = _float(dy_NH), _float(normal_NH), dy_NH.dtype
    dnormal_NH = dy_NH * gamma_H
    mean_N1 = tf.reduce_mean(dnormal_NH, -1, keepdims=True)
    slope_N1 = tf.reduce_mean(dnormal_NH * normal_NH, -1, keepdims=True)
    dx_NH = scale_N1 * (dnormal_NH - mean_N1 - normal_NH * slope_N1)
    return tf.cast(dx_NH, dtype), tf.reduce_sum(dx_NH, 0), tf.reduce_sum(dy_NH * normal_NH, 0), tf.reduce_sum(dy_NH, 0)


@island
def _bias_gelu_forward(x_NF, bias_F):
    return tf.cast(tf.nn.gelu(_float(x_NF) + bias_F, approximate=False), x_NF.dtype)


@island
def _bias_gelu_backward(dy_NF, x_NF, bias_F):
    shifted_NF = _float(x_NF) + bias_F
    cumulative_NF = 0.5 * (1 + tf.math.erf(shifted_NF * math.sqrt(0.5)))
    density_NF = tf.exp(-0.5 * tf.square(shifted_NF)) * (1 / math.sqrt(2 * math.pi))
    dx_NF = _float(dy_NF) * (cumulative_NF + shifted_NF * density_NF)
    return tf.cast(dx_NF, x_NF.dtype), tf.reduce_sum(dx_NF, 0)


@island
def _attention_forward(qkv_NK, bias_K, segments_BT, num_heads):
    x_BT3AD = _in_heads(_float(qkv_NK) + bias_K, segments_BT, 3, num_heads)
    q_BTAD, k_BTAD, v_BTAD = tf.unstack(x_BT3AD, axis=2)
    return _attend(q_BTAD, k_BTAD, v_BTAD, segments_BT, segments_BT, qkv_NK.dtype)


@island
def _attention_backward(dmixed_NH, *saved):
    d_BT3AD = tf.stack(_attend_backward(dmixed_NH, *saved), axis=2)
    d_NK = tf.reshape(d_BT3AD, (dmixed_NH.shape[0], -1))
    return tf.cast(d_NK, dmixed_NH.dtype), tf.reduce_sum(d_NK, 0)


@island
def _attention_at_forward(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads):
    width = q_MH.shape[1]
    q_BPAD = _in_heads(_float(q_MH) + bias_K[:width], positions_BP, 1, num_heads)[:, :, 0]
    k_BTAD, v_BTAD = tf.unstack(_in_heads(_float(kv_NJ) + bias_K[width:], segments_BT, 2, num_heads), axis=2)
    segments_BP = tf.gather(segments_BT, positions_BP, batch_dims=1)
    return _attend(q_BPAD, k_BTAD, v_BTAD, segments_BP, segments_BT, q_MH.dtype)


@island
def _attention_at_backward(dmixed_MH, *saved):
    dq_BPAD, dk_BTAD, dv_BTAD = _attend_backward(dmixed_MH, *saved)
    dq_MH = tf.reshape(dq_BPAD, dmixed_MH.shape)
    dkv_NJ = tf.reshape(tf.stack([dk_BTAD, dv_BTAD], axis=2), (-1, 2 * dmixed_MH.shape[1]))
    dbias_K = tf.concat([tf.reduce_sum(dq_MH, 0), tf.reduce_sum(dkv_NJ, 0)], 0)
    return tf.cast(dq_MH, dmixed_MH.dtype), tf.cast(dkv_NJ, dmixed_MH.dtype), dbias_K


def _in_heads(x_NK, table_BT, parts, num_heads):
    """(B x T, parts x A x D) as (B, T, parts, A, D); `table_BT` has the first two sizes."""
    return tf.reshape(x_NK, (*table_BT.shape, parts, num_heads, x_NK.shape[1] // (parts * num_heads)))


def _attend(q_BQAD, k_BTAD, v_BTAD, segments_BQ, segments_BT, dtype):
    """Q queries a row to all its tokens: what each takes of their values, (B x Q, A x D), and what backward needs."""
    b, queries, a, d = q_BQAD.shape
    q_BQAD, k_BTAD, v_BTAD = (tf.cast(part, dtype) for part in (q_BQAD * d**-0.5, k_BTAD, v_BTAD))
    scores_BAQT = tf.matmul(tf.transpose(q_BQAD, HEADS_FIRST), tf.transpose(k_BTAD, TOKENS_LAST))
    same_B1QT = (segments_BQ[:, None, :, None] == segments_BT[:, None, None, :]) & (segments_BT > 0)[:, None, None, :]
    weights_BAQT = tf.cast(tf.nn.softmax(tf.where(same_B1QT, _float(scores_BAQT), NOT_ATTENDED)), dtype)
    mixed_BAQD = tf.matmul(weights_BAQT, tf.transpose(v_BTAD, HEADS_FIRST))
    mixed = tf.reshape(tf.transpose(mixed_BAQD, HEADS_FIRST), (b * queries, a * d))
    orders = (q_BQAD, TOKENS_LAST), (k_BTAD, HEADS_FIRST), (v_BTAD, TOKENS_LAST)
    return mixed, *(tf.transpose(part, order) for part, order in orders), weights_BAQT


def _attend_backward(dmixed, q_BADQ, k_BATD, v_BADT, weights_BAQT):
    """Gradients of queries, keys and values, (B, Q or T, A, D) float32."""
    b, a, d, queries = q_BADQ.shape
    dmixed_BQAD = tf.reshape(dmixed, (b, queries, a, d))
    dweights_BAQT = tf.matmul(tf.transpose(dmixed_BQAD, HEADS_FIRST), v_BADT)
    product_BAQT = _float(dweights_BAQT) * _float(weights_BAQT)
    sum_BAQ1 = tf.reduce_sum(product_BAQT, -1, keepdims=True)
    dscores_BAQT = tf.cast(product_BAQT - _float(weights_BAQT) * sum_BAQ1, weights_BAQT.dtype)
    dq_BQAD = tf.transpose(tf.matmul(dscores_BAQT, k_BATD), HEADS_FIRST)
    dk_BTAD = tf.transpose(tf.matmul(q_BADQ, dscores_BAQT), TOKENS_FIRST)
    dv_BTAD = tf.transpose(tf.matmul(tf.transpose(dmixed_BQAD, TOKENS_LAST), weights_BAQT), TOKENS_FIRST)
    return _float(dq_BQAD) * d**-0.5, _float(dk_BTAD), _float(dv_BTAD)


@island
def _cross_entropy_forward(logits_MV, bias_V, targets_M, weights_M):
    shifted_MV = _float(logits_MV) + bias_V
    normalizer_M1 = tf.reduce_logsumexp(shifted_MV, -1, keepdims=True)
    right_M = tf.reduce_sum(tf.where(_is_target(targets_M, shifted_MV), shifted_MV, 0.0), -1)
    correct_M = _float(right_M >= tf.reduce_max(shifted_MV, -1))
    losses_M = normalizer_M1[:, 0] - right_M
    return tf.reduce_sum(losses_M * weights_M), tf.reduce_sum(correct_M * weights_M), normalizer_M1


@island
def _cross_entropy_backward(dloss, logits_MV, bias_V, normalizer_M1, targets_M, weights_M):
    shares_MV = tf.exp(_float(logits_MV) + bias_V - normalizer_M1)
    dlogits_MV = (shares_MV - _float(_is_target(targets_M, shares_MV))) * (dloss * weights_M)[:, None]
    return tf.cast(dlogits_MV, logits_MV.dtype), tf.reduce_sum(dlogits_MV, 0)


def _is_target(targets_M, like_MV):
    return tf.range(like_MV.shape[1])[None, :] == targets_M[:, None]
