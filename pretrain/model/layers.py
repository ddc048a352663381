"""The embeddings and layers of encoders, from their weights and fused ops."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, H hidden, F feed-forward
# K = 3H queries, keys and values, J = 2H keys and values

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from pretrain.model.architecture import Architecture
from pretrain.ops.attention import attention, attention_at, distance_bias, distance_bias_at
from pretrain.ops.fused_ops import Tensors, add_norm, bias_gelu, norm
from pretrain.ops.pre_norm_ops import gated_gelu, sum_norm
from pretrain.ops.rotary_attention import Rotation, rotary_attention, rotary_attention_at, rotation


class Biased(NamedTuple):
    """State between post-norm layers."""

    x_NH: tf.Tensor
    score_bias: Tensors = ()
    """What all layers add to their scores, (1, A, T, T); empty where positions are in the embeddings alone."""


class Residual(NamedTuple):
    """State between pre-norm layers."""

    x_NH: tf.Tensor
    added_NH: tf.Tensor | None
    """None before the first layer."""
    turns: dict[float, Rotation]
    """Base -> rotation of each token."""


class Layers:
    """What both kinds of layers read and compute alike; the state between layers is theirs."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, tf.Variable], dtype: tf.DType) -> None:
        self._architecture, self._weights, self._dtype = architecture, weights, dtype

    def product(self, x: tf.Tensor, kernel: str) -> tf.Tensor:
        """The product with a kernel."""
        return tf.matmul(x, tf.cast(self.read(kernel), self._dtype))

    def norm(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """LayerNorm with the weights under `name`."""
        gamma, beta = self.read(f"{name}/gamma"), self.read_or_zeros(f"{name}/beta", x.shape[-1])
        return norm(x, gamma, beta, self._architecture.norm_epsilon, self._dtype)

    def read(self, name: str) -> tf.Tensor:
        """The value of a weight."""
        return tf.convert_to_tensor(self._weights[name])

    def read_or_zeros(self, name: str, width: int) -> tf.Tensor:
        """The value of a bias or shift; zeros where the model has none."""
        return self.read(name) if name in self._weights else tf.zeros(width)

    def _rows_at(self, x_NH: tf.Tensor, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> tf.Tensor:
        """The states at some positions of each row, (M, H)."""
        x_BTH = tf.reshape(x_NH, (*segments_BT.shape, self._architecture.hidden_dim))
        return tf.reshape(tf.gather(x_BTH, positions_BP, batch_dims=1), (-1, self._architecture.hidden_dim))

    def _queries_and_rest(self, layer: int, x_MH: tf.Tensor, x_NH: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Queries (M, H) of some states, keys and values (N, J) of all."""
        kernel_HK = tf.cast(self.read(f"layer_{layer}/attention/qkv/kernel"), self._dtype)
        width = self._architecture.hidden_dim
        return tf.matmul(x_MH, kernel_HK[:, :width]), tf.matmul(x_NH, kernel_HK[:, width:])


class PostNormLayers(Layers):
    """Layers that normalise after each residual sum: BERT's, and those of the families that follow it.

    What sets these families apart is in their `Architecture`: tables, the first position, the embeddings' width.
    """

    def embedded(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor) -> Biased:
        """The state before the first layer."""
        a = self._architecture
        positions_BT = restarting_positions(segments_BT) + a.first_position
        if a.family.uncounted_id is not None:
            positions_BT = _uncounted(positions_BT, a.first_position, ids_BT == a.family.uncounted_id)
        x_BTH = tf.gather(self._weights["embeddings/word"], ids_BT)
        x_BTH += tf.gather(self._weights["embeddings/position"], positions_BT)
        if a.num_types:
            x_BTH += self.read("embeddings/type")[0]
        x_NH = self.norm(tf.reshape(x_BTH, (-1, a.embedding_dim)), "embeddings/norm")
        if a.embedding_dim != a.hidden_dim:
            bias_H = tf.cast(self.read("embeddings/projection/bias"), self._dtype)
            x_NH = self.product(x_NH, "embeddings/projection/kernel") + bias_H
        if not a.num_buckets:
            return Biased(x_NH)
        return Biased(x_NH, (distance_bias(self.read("embeddings/distance"), segments_BT.shape[1]),))

    def apply(self, layer: int, state: Biased, segments_BT: tf.Tensor, causal: bool = False) -> Biased:
        """The state after a layer; `causal`: no token attends to a later one."""
        (x_NH, score_bias), name = state, f"layer_{layer}/attention"
        projected_NK, bias_K = self.product(x_NH, f"{name}/qkv/kernel"), self.read(f"{name}/qkv/bias")
        mixed_NH = attention(projected_NK, bias_K, segments_BT, self._architecture.num_heads, score_bias, causal)
        return Biased(self._feed_forward(layer, self._attention_output(name, mixed_NH, x_NH)), score_bias)

    def apply_at(self, layer: int, state: Biased, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> Biased:
        """The state after a layer at some positions of each row, (M, H)."""
        (x_NH, score_bias), name = state, f"layer_{layer}/attention"
        x_MH, bias_K = self._rows_at(x_NH, segments_BT, positions_BP), self.read(f"{name}/qkv/bias")
        q_MH, kv_NJ = self._queries_and_rest(layer, x_MH, x_NH)
        bias_at = tuple(distance_bias_at(bias_1ATT, positions_BP) for bias_1ATT in score_bias)
        num_heads = self._architecture.num_heads
        mixed_MH = attention_at(q_MH, kv_NJ, bias_K, positions_BP, segments_BT, num_heads, bias_at)
        return Biased(self._feed_forward(layer, self._attention_output(name, mixed_MH, x_MH)))

    def finished(self, state: Biased) -> tf.Tensor:
        """The last hidden states, from the state after the last layer."""
        return state.x_NH

    def _attention_output(self, name: str, mixed_NH: tf.Tensor, x_NH: tf.Tensor) -> tf.Tensor:
        return self._add_norm(self.product(mixed_NH, f"{name}/output/kernel"), x_NH, f"{name}/output", f"{name}/norm")

    def _feed_forward(self, layer: int, x_NH: tf.Tensor) -> tf.Tensor:
        name = f"layer_{layer}/feed_forward"
        inner_NF = bias_gelu(self.product(x_NH, f"{name}/inner/kernel"), self.read(f"{name}/inner/bias"))
        return self._add_norm(self.product(inner_NF, f"{name}/outer/kernel"), x_NH, f"{name}/outer", f"{name}/norm")

    def _add_norm(self, x_NH: tf.Tensor, residual_NH: tf.Tensor, dense: str, name: str) -> tf.Tensor:
        bias, gamma, beta = (self.read(weight) for weight in (f"{dense}/bias", f"{name}/gamma", f"{name}/beta"))
        return add_norm(x_NH, residual_NH, bias, gamma, beta, self._architecture.norm_epsilon)


class PreNormLayers(Layers):
    """Layers that normalise before attention and feed-forward part: ModernBERT's (arXiv 2412.13663).

    The state between layers is a residual and what the last part adds to it, both (N, H): their sum and its norm are
    one fused op.
    """

    def __init__(self, architecture: Architecture, weights: Mapping[str, tf.Variable], dtype: tf.DType) -> None:
        super().__init__(architecture, weights, dtype)
        self._head_dim = architecture.hidden_dim // architecture.num_heads

    def embedded(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor) -> Residual:
        """The state before the first layer."""
        x_BTH = tf.gather(self._weights["embeddings/word"], ids_BT)
        x_NH = self.norm(tf.reshape(x_BTH, (-1, self._architecture.hidden_dim)), "embeddings/norm")
        positions_BT = restarting_positions(segments_BT)
        bases = sorted({layer.base for layer in self._architecture.rotary_layers})
        return Residual(x_NH, None, {base: rotation(positions_BT, self._head_dim, base) for base in bases})

    def apply(self, layer: int, state: Residual, segments_BT: tf.Tensor, causal: bool = False) -> Residual:
        """The state after a layer; `causal`: no token attends to a later one."""
        kind, name = self._architecture.rotary_layers[layer], f"layer_{layer}/attention"
        x_NH, normal_NH = self._sum_norm(state, f"{name}/norm")
        projected_NK = self.product(normal_NH, f"{name}/qkv/kernel")
        mixed_NH = rotary_attention(
            projected_NK, state.turns[kind.base], segments_BT, self._architecture.num_heads, kind.window, causal
        )
        return self._feed_forward(layer, state._replace(x_NH=x_NH), mixed_NH)

    def apply_at(self, layer: int, state: Residual, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> Residual:
        """The state after a layer at some positions of each row, each tensor (M, H)."""
        a, kind = self._architecture, self._architecture.rotary_layers[layer]
        x_NH, normal_NH = self._sum_norm(state, f"layer_{layer}/attention/norm")
        x_MH, normal_MH = (self._rows_at(each, segments_BT, positions_BP) for each in (x_NH, normal_NH))
        q_MH, kv_NJ = self._queries_and_rest(layer, normal_MH, normal_NH)
        turn = state.turns[kind.base]
        mixed_MH = rotary_attention_at(q_MH, kv_NJ, turn, positions_BP, segments_BT, a.num_heads, kind.window)
        return self._feed_forward(layer, state._replace(x_NH=x_MH), mixed_MH)

    def finished(self, state: Residual) -> tf.Tensor:
        """The last hidden states, from the state after the last layer."""
        return self._sum_norm(state, "final/norm")[1]

    def _sum_norm(self, state: Residual, name: str) -> tuple[tf.Tensor, tf.Tensor]:
        """The sum of a state and its norm; before the first layer there is neither."""
        if state.added_NH is None:
            return state.x_NH, state.x_NH
        return sum_norm(state.added_NH, state.x_NH, self.read(f"{name}/gamma"), self._architecture.norm_epsilon)

    def _feed_forward(self, layer: int, state: Residual, mixed_NH: tf.Tensor) -> Residual:
        attended = state._replace(added_NH=self.product(mixed_NH, f"layer_{layer}/attention/output/kernel"))
        x_NH, normal_NH = self._sum_norm(attended, f"layer_{layer}/feed_forward/norm")
        inner_NF = gated_gelu(self.product(normal_NH, f"layer_{layer}/feed_forward/inner/kernel"))
        return Residual(x_NH, self.product(inner_NF, f"layer_{layer}/feed_forward/outer/kernel"), state.turns)


def restarting_positions(segments_BT: tf.Tensor) -> tf.Tensor:
    """Position of each token in its segment, (B, T) int32; segments are contiguous.

    >>> restarting_positions(tf.constant([[1, 1, 1, 2, 2, 0]])).numpy()
    array([[0, 1, 2, 0, 1, 0]], dtype=int32)
    """
    index_T = tf.range(segments_BT.shape[1])
    begins_BT = tf.concat([tf.ones_like(segments_BT[:, :1], tf.bool), segments_BT[:, 1:] != segments_BT[:, :-1]], 1)
    starts_BT = tf.where(begins_BT, index_T, 0)
    shift = 1
    while shift < segments_BT.shape[1]:  # the largest start so far: each round looks back twice as far
        starts_BT = tf.maximum(starts_BT, tf.pad(starts_BT[:, :-shift], [(0, 0), (shift, 0)]))
        shift *= 2
    return index_T - starts_BT


def _uncounted(positions_BT: tf.Tensor, first: int, is_uncounted_BT: tf.Tensor) -> tf.Tensor:
    """Positions from `first` in which some tokens are not counted; those have the one before the first.

    >>> uncounted = tf.constant([[False, True, False, False, True]])
    >>> _uncounted(tf.constant([[2, 3, 4, 2, 3]]), 2, uncounted).numpy()
    array([[2, 1, 3, 2, 1]], dtype=int32)
    """
    so_far_BT = tf.cumsum(tf.cast(is_uncounted_BT, tf.int32), 1)
    start_BT = tf.range(positions_BT.shape[1]) - (positions_BT - first)
    before_BT = tf.gather(tf.pad(so_far_BT, [[0, 0], [1, 0]]), start_BT, batch_dims=1)
    return tf.where(is_uncounted_BT, first - 1, positions_BT - (so_far_BT - before_BT))
