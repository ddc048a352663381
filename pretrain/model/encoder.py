"""The BERT encoder and its masked-language-model head in TensorFlow (Devlin et al. 2019, arXiv 1810.04805)."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, H hidden, V vocabulary

from typing import Any

import tensorflow as tf

from pretrain.model.architecture import Architecture, weight_shapes
from pretrain.model.layers import PostNormLayers, PreNormLayers
from pretrain.model.weights import Weights
from pretrain.ops.fused_ops import bias_gelu, weighted_cross_entropy


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
        kind = PreNormLayers if architecture.rotary_layers else PostNormLayers
        self._layers: Any = kind(architecture, self.weights, dtype)

    def hidden(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, causal: bool = False) -> tf.Tensor:
        """Last hidden states, (B, T, H) in the encoder's dtype.

        `segments_BT` (int32) is the number of each token's text in its row, from 1; 0 is padding, whose states are
        meaningless. The attention mask of a padded batch is a valid value. Shapes must be static. `causal`: a token
        attends to the tokens of its segment up to itself.
        """
        x_NH = self._layers.finished(self._after_layers(self.architecture.num_layers, ids_BT, segments_BT, causal))
        return tf.reshape(x_NH, (*ids_BT.shape, self.architecture.hidden_dim))

    def hidden_at(self, ids_BT: tf.Tensor, segments_BT: tf.Tensor, positions_BP: tf.Tensor) -> tf.Tensor:
        """Last hidden states at some positions of each row, (B x P, H): as `hidden`, at less cost.

        The last layer computes only keys and values for all tokens. With one position in seven, that saves seven tenths
        of a layer.
        """
        last = self.architecture.num_layers - 1
        state = self._after_layers(last, ids_BT, segments_BT)
        return self._layers.finished(self._layers.apply_at(last, state, segments_BT, positions_BP))

    def mlm_logits(self, states_MH: tf.Tensor) -> tf.Tensor:
        """Logits (M, V), without the MLM bias, of the last hidden states at masked positions."""
        layers = self._layers
        x_MH = bias_gelu(
            layers.product(states_MH, "mlm/dense/kernel"), layers.read_or_zeros("mlm/dense/bias", states_MH.shape[1])
        )
        x_MH = layers.norm(x_MH, "mlm/norm")
        return tf.matmul(x_MH, tf.cast(layers.read("embeddings/word"), self.dtype), transpose_b=True)

    def mlm_loss(self, states_MH: tf.Tensor, targets_M: tf.Tensor, weights_M: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Weighted sums over masked positions of the cross entropy (nats) and of correct predictions."""
        logits_MV, bias_V = self.mlm_logits(states_MH), self._layers.read("mlm/bias")
        return weighted_cross_entropy(logits_MV, bias_V, targets_M, weights_M)

    def assign(self, weights: Weights) -> None:
        """Replace the weights."""
        for name, variable in self.weights.items():
            variable.assign(weights[name])

    def numpy_weights(self) -> Weights:
        """A copy of the weights."""
        return {name: variable.numpy() for name, variable in self.weights.items()}

    def _after_layers(self, count: int, ids_BT: tf.Tensor, segments_BT: tf.Tensor, causal: bool = False) -> Any:
        """The layers' state after the first `count` of them."""
        state: Any = self._layers.embedded(ids_BT, segments_BT)
        for layer in range(count):
            state = self._layers.apply(layer, state, segments_BT, causal)
        return state
