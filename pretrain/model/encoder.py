"""The BERT encoder and its masked-language-model head in TensorFlow (Devlin et al. 2019, arXiv 1810.04805)."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, A heads, D head width, H hidden, V vocabulary
# K = 3H queries, keys and values, J = 2H keys and values

import tensorflow as tf

from pretrain.model.architecture import Architecture, weight_shapes
from pretrain.model.fused_ops import add_norm, attention, attention_at, bias_gelu, norm, weighted_cross_entropy
from pretrain.model.weights import Weights


class Encoder(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """An encoder whose weights are float32 variables under the names of `architecture.weight_shapes`.

    `dtype` is the precision of matrix products and activations: float32, which equals PyTorch transformers within 1e-4,
    or bfloat16. Packed rows and padded batches are treated alike: a token attends to the tokens of its own segment, and
    its position counts from the segment's first token.

    >>> encoder = Encoder(architecture, load_checkpoint(folder).weights)           # doctest: +SKIP
    >>> hidden_BTH = encoder.hidden(ids_BT, segments_BT=attention_mask_BT)          # doctest: +SKIP
    """

    def __init__(self, architecture: Architecture, weights: Weights, dtype: tf.DType = tf.float32) -> None:
        super().__init__(name="encoder")
        self.architecture = architecture
        self.dtype = dtype
        self.weights = {
            name: tf.Variable(weights[name], name=name, dtype=tf.float32) for name in weight_shapes(architecture)
        }

    def hidden(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
        """Last hidden states, (B, T, H) in the encoder's dtype.

        `segments_BT` (int32) is the number of each token's text in its row, from 1; 0 is padding, whose states are
        meaningless. The attention mask of a padded batch is a valid value. Shapes must be static.
        """
        x_NH = self._after_layers(self.architecture.num_layers, ids_BT, segments_BT)
        return tf.reshape(x_NH, (*ids_BT.shape, self.architecture.hidden_dim))

    def hidden_at(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> tf.Tensor:
        """Last hidden states at some positions of each row, (B x P, H): as `hidden`, at less cost.

        The last layer computes only keys and values for all tokens. With one position in seven, that saves seven tenths
        of a layer.
        """
        last = self.architecture.num_layers - 1
        x_NH = self._after_layers(last, ids_BT, segments_BT)
        x_MH = self._attention_at(f"layer_{last}/attention", x_NH, segments_BT, positions_BP)
        return self._feed_forward(f"layer_{last}/feed_forward", x_MH)

    def mlm_logits(self, states_MH: tf.Tensor) -> tf.Tensor:
        """Logits (M, V), without the MLM bias, of the last hidden states at masked positions."""
        x_MH = bias_gelu(self._product(states_MH, "mlm/dense/kernel"), self._read("mlm/dense/bias"))
        x_MH = self._norm(x_MH, "mlm/norm")
        return tf.matmul(x_MH, tf.cast(self._read("embeddings/word"), self.dtype), transpose_b=True)

    def mlm_loss(self, states_MH: tf.Tensor, targets_M: tf.Tensor, weights_M: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Weighted sums over masked positions of the cross entropy (nats) and of correct predictions."""
        logits_MV, bias_V = self.mlm_logits(states_MH), self._read("mlm/bias")
        return weighted_cross_entropy(logits_MV, bias_V, targets_M, weights_M)

    def assign(self, weights: Weights) -> None:
        """Replace the weights."""
        for name, variable in self.weights.items():
            variable.assign(weights[name])

    def numpy_weights(self) -> Weights:
        """A copy of the weights."""
        return {name: variable.numpy() for name, variable in self.weights.items()}

    def _embedded(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
        a = self.architecture
        positions_BT = restarting_positions(segments_BT) + a.first_position
        x_BTH = tf.gather(self.weights["embeddings/word"], ids_BT)
        x_BTH += tf.gather(self.weights["embeddings/position"], positions_BT)
        if a.num_types:
            x_BTH += self._read("embeddings/type")[0]
        return self._norm(tf.reshape(x_BTH, (-1, a.hidden_dim)), "embeddings/norm")

    def _after_layers(self, count: int, ids_BT: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
        """The states after the first `count` layers, (N, H)."""
        x_NH = self._embedded(ids_BT, segments_BT)
        for layer in range(count):
            x_NH = self._attention(f"layer_{layer}/attention", x_NH, segments_BT)
            x_NH = self._feed_forward(f"layer_{layer}/feed_forward", x_NH)
        return x_NH

    def _attention(self, name: str, x_NH: tf.Tensor, segments_BT: tf.Tensor) -> tf.Tensor:
        projected_NK = self._product(x_NH, f"{name}/qkv/kernel")
        bias_K = self._read(f"{name}/qkv/bias")
        mixed_NH = attention(projected_NK, bias_K, segments_BT, self.architecture.num_heads)
        return self._add_norm(self._product(mixed_NH, f"{name}/output/kernel"), x_NH, f"{name}/output", f"{name}/norm")

    def _attention_at(self, name: str, x_NH: tf.Tensor, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> tf.Tensor:
        a = self.architecture
        x_BTH = tf.reshape(x_NH, (*segments_BT.shape, a.hidden_dim))
        x_MH = tf.reshape(tf.gather(x_BTH, positions_BP, batch_dims=1), (-1, a.hidden_dim))
        kernel_HK = tf.cast(self._read(f"{name}/qkv/kernel"), self.dtype)
        q_MH = tf.matmul(x_MH, kernel_HK[:, : a.hidden_dim])
        kv_NJ = tf.matmul(x_NH, kernel_HK[:, a.hidden_dim :])
        mixed_MH = attention_at(q_MH, kv_NJ, self._read(f"{name}/qkv/bias"), positions_BP, segments_BT, a.num_heads)
        return self._add_norm(self._product(mixed_MH, f"{name}/output/kernel"), x_MH, f"{name}/output", f"{name}/norm")

    def _feed_forward(self, name: str, x_NH: tf.Tensor) -> tf.Tensor:
        inner_NF = bias_gelu(self._product(x_NH, f"{name}/inner/kernel"), self._read(f"{name}/inner/bias"))
        return self._add_norm(self._product(inner_NF, f"{name}/outer/kernel"), x_NH, f"{name}/outer", f"{name}/norm")

    def _product(self, x: tf.Tensor, kernel: str) -> tf.Tensor:
        return tf.matmul(x, tf.cast(self._read(kernel), self.dtype))

    def _norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        gamma, beta = self._read(f"{name}/gamma"), self._read(f"{name}/beta")
        return norm(x, gamma, beta, self.architecture.norm_epsilon, self.dtype)

    def _add_norm(self, x_NH: tf.Tensor, residual_NH: tf.Tensor, dense: str, name: str) -> tf.Tensor:
        bias, gamma, beta = (self._read(weight) for weight in (f"{dense}/bias", f"{name}/gamma", f"{name}/beta"))
        return add_norm(x_NH, residual_NH, bias, gamma, beta, self.architecture.norm_epsilon)

    def _read(self, name: str) -> tf.Tensor:
        return tf.convert_to_tensor(self.weights[name])


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
