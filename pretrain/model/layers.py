"""The embeddings and layers of encoders, from their weights and fused ops."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, H hidden, F feed-forward
# K = 3H queries, keys and values, J = 2H keys and values

from collections.abc import Mapping

import tensorflow as tf

from pretrain.model.architecture import Architecture
from pretrain.model.fused_ops import add_norm, attention, attention_at, bias_gelu, norm


class PostNormLayers:
    """Layers that normalise after each residual sum: BERT's, and those of the families that follow it.

    What sets these families apart is in their `Architecture`: tables that are absent, the first position.
    """

    def __init__(self, architecture: Architecture, weights: Mapping[str, tf.Variable], dtype: tf.DType) -> None:
        self._architecture, self._weights, self._dtype = architecture, weights, dtype

    def embedded(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
        """The states before the first layer, (N, H)."""
        a = self._architecture
        positions_BT = restarting_positions(segments_BT) + a.first_position
        x_BTH = tf.gather(self._weights["embeddings/word"], ids_BT)
        x_BTH += tf.gather(self._weights["embeddings/position"], positions_BT)
        if a.num_types:
            x_BTH += self.read("embeddings/type")[0]
        return self.norm(tf.reshape(x_BTH, (-1, a.hidden_dim)), "embeddings/norm")

    def apply(self, layer: int, x_NH: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
        """The states after a layer, (N, H)."""
        name = f"layer_{layer}/attention"
        projected_NK, bias_K = self.product(x_NH, f"{name}/qkv/kernel"), self.read(f"{name}/qkv/bias")
        mixed_NH = attention(projected_NK, bias_K, segments_BT, self._architecture.num_heads)
        return self._feed_forward(layer, self._attention_output(name, mixed_NH, x_NH))

    def apply_at(self, layer: int, x_NH: tf.Tensor, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> tf.Tensor:
        """The states after a layer at some positions of each row, (M, H)."""
        a, name = self._architecture, f"layer_{layer}/attention"
        x_BTH = tf.reshape(x_NH, (*segments_BT.shape, a.hidden_dim))
        x_MH = tf.reshape(tf.gather(x_BTH, positions_BP, batch_dims=1), (-1, a.hidden_dim))
        kernel_HK = tf.cast(self.read(f"{name}/qkv/kernel"), self._dtype)
        q_MH = tf.matmul(x_MH, kernel_HK[:, : a.hidden_dim])
        kv_NJ = tf.matmul(x_NH, kernel_HK[:, a.hidden_dim :])
        mixed_MH = attention_at(q_MH, kv_NJ, self.read(f"{name}/qkv/bias"), positions_BP, segments_BT, a.num_heads)
        return self._feed_forward(layer, self._attention_output(name, mixed_MH, x_MH))

    def product(self, x: tf.Tensor, kernel: str) -> tf.Tensor:
        """The product with a kernel."""
        return tf.matmul(x, tf.cast(self.read(kernel), self._dtype))

    def norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """LayerNorm with the weights under `name`."""
        gamma, beta = self.read(f"{name}/gamma"), self.read(f"{name}/beta")
        return norm(x, gamma, beta, self._architecture.norm_epsilon, self._dtype)

    def read(self, name: str) -> tf.Tensor:
        """The value of a weight."""
        return tf.convert_to_tensor(self._weights[name])

    def _attention_output(self, name: str, mixed_NH: tf.Tensor, x_NH: tf.Tensor) -> tf.Tensor:
        return self._add_norm(self.product(mixed_NH, f"{name}/output/kernel"), x_NH, f"{name}/output", f"{name}/norm")

    def _feed_forward(self, layer: int, x_NH: tf.Tensor) -> tf.Tensor:
        name = f"layer_{layer}/feed_forward"
        inner_NF = bias_gelu(self.product(x_NH, f"{name}/inner/kernel"), self.read(f"{name}/inner/bias"))
        return self._add_norm(self.product(inner_NF, f"{name}/outer/kernel"), x_NH, f"{name}/outer", f"{name}/norm")

    def _add_norm(self, x_NH: tf.Tensor, residual_NH: tf.Tensor, dense: str, name: str) -> tf.Tensor:
        bias, gamma, beta = (self.read(weight) for weight in (f"{dense}/bias", f"{name}/gamma", f"{name}/beta"))
        return add_norm(x_NH, residual_NH, bias, gamma, beta, self._architecture.norm_epsilon)


def restarting_positions(segments_BT: tf.Tensor) -> tf.Tensor:
    """Position of each token in its segment, (B, T) int32; segments are contiguous.

    >>> restarting_positions(tf.constant([[1, 1, 1, 2, 2, 0]])).numpy()
    array([[0, 1, 2, 0, 1, 0]], dtype=int32)
    """
    index_T = tf.range(segments_BT.shape[1])
    begins_BT = tf.concat([tf.ones_like(segments_BT[:, :1], tf.bool), segments_BT[:, 1:] != segments_BT[:, :-1]], 1)
    starts_BT = tf.where(begins_BT, index_T, 0)
    first_BTT = tf.where(index_T[None, :] <= index_T[:, None], starts_BT[:, None, :], 0)
    return index_T - tf.reduce_max(first_BTT, -1)
