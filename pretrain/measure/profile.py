"""Where the time of a training step goes on a CPU: its pieces, each timed alone, beside the whole step."""

# B rows, T tokens, N = B x T, P positions a row, M = B x P, H hidden, F feed-forward, V vocabulary
# K = 3H queries, keys and values, J = 2H keys and values, Q inner and R outer width of a product

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from pretrain.measure.products import Shape, StepProducts, training_flop
from pretrain.model.architecture import Architecture
from pretrain.model.encoder import Encoder
from pretrain.model.layers import restarting_positions
from pretrain.model.rotary_config import RotaryLayer
from pretrain.objectives.masked_lm import MaskedBatch
from pretrain.ops.attention import attention, attention_at, distance_bias, distance_bias_at
from pretrain.ops.fused_ops import Tensors, add_norm, bias_gelu, weighted_cross_entropy
from pretrain.ops.pre_norm_ops import gated_gelu, sum_norm
from pretrain.ops.rotary_attention import rotary_attention, rotary_attention_at, rotation
from pretrain.train.optimizer import AdamW

ROUNDS = 7  # in which all pieces are timed in turn; the median counts


class Attention(NamedTuple):
    """The attention of some layers, all of one kind."""

    layers: int
    function: Callable[..., tf.Tensor]
    of_all: bool
    """Whether for all tokens; else, in the last layer, for masked positions only."""


class Piece(NamedTuple):
    """A part of the step that is computed `times` times in it, with all its gradients."""

    name: str
    """That of a line of the table; several pieces share one."""
    times: int
    function: Callable[..., Any]
    operands: Tensors
    flop: float = 0.0
    """Floating-point operations of the products in one computation."""


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    name: str
    seconds: float
    flop: float
    """Of its products; 0 where it has none."""


@dataclass(frozen=True)
class StepProfile:
    """The pieces of a step, and what the step takes beyond their sum."""

    step_seconds: float
    lines: tuple[Line, ...]
    library_flops: dict[str, dict[str, float]]
    """Operations per second of the fastest product, by library and precision."""

    def __str__(self) -> str:
        of_pieces = sum(line.seconds for line in self.lines)
        rest = Line("the rest: batch, embeddings, gradients' sums", self.step_seconds - of_pieces, 0.0)
        table = [_row(line, self.step_seconds) for line in [*self.lines, rest]]
        rates = "; ".join(
            f"{library} {', '.join(f'{flops / 1e9:,.0f} ({name})' for name, flops in of.items())}"
            for library, of in self.library_flops.items()
        )
        heading = f"{'piece, forward and backward':<46}{'ms':>8}{'of step':>10}{'GFLOP/s':>10}"
        return "\n".join([heading, *table, f"fastest product by library, GFLOP/s: {rates}"])


def profile_pieces(encoder: Encoder, batch: MaskedBatch, products: StepProducts) -> tuple[Line, ...]:
    """Time each piece of the step of masked language modelling on `batch`, alone, in turn with the others."""
    pieces = list(_pieces(encoder, batch, products))
    seconds_of = _median_seconds([*map(_compiled, pieces), _optimizer(encoder)])
    lines: dict[str, Line] = {}
    for piece, seconds in zip(pieces, seconds_of, strict=False):
        before = lines.get(piece.name, Line(piece.name, 0.0, 0.0))
        total, flop = before.seconds + piece.times * seconds, before.flop + piece.times * piece.flop
        lines[piece.name] = Line(piece.name, total, flop)
    return *lines.values(), Line("AdamW", seconds_of[-1], 0.0)


def _median_seconds(functions: list[Callable[[], Any]]) -> list[float]:
    """Of each, over rounds in which all are timed; the first round warms up."""
    rounds = [[_seconds(function) for function in functions] for _ in range(1 + ROUNDS)]
    return [statistics.median(seconds) for seconds in zip(*rounds[1:], strict=True)]


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _pieces(encoder: Encoder, batch: MaskedBatch, products: StepProducts) -> Iterator[Piece]:
    """All pieces but the optimizer; embeddings, the batch and the sum of gradients are not among them."""
    a, dtype = encoder.architecture, encoder.dtype
    masked, tokens = tf.size(batch.positions_BP).numpy(), tf.size(batch.ids_BT).numpy()
    for shape, count in Counter(products.layers).items():
        yield _product("products of the layers", shape, count, dtype)
    for shape, count in Counter(products.head).items():
        yield _product("products of the MLM head", shape, count, dtype)
    yield from _attentions(a, batch, products, dtype)
    yield from _elementwise(a, tokens, a.num_layers - 1, dtype)
    yield from _elementwise(a, masked, 1, dtype)
    logits_MV, targets_M = tf.ones((masked, a.vocab_size), dtype), tf.reshape(batch.targets_BP, [-1])
    weights_M = tf.reshape(batch.weights_BP, [-1])

    def cross_entropy(logits_MV: tf.Tensor, bias_V: tf.Tensor) -> tf.Tensor:
        return weighted_cross_entropy(logits_MV, bias_V, targets_M, weights_M)[0]

    yield Piece("cross entropy", 1, cross_entropy, (logits_MV, tf.zeros(a.vocab_size)))


def _product(name: str, shape: Shape, count: int, dtype: tf.DType) -> Piece:
    """A product whose second factor is a float32 weight, as the step has them: in bfloat16 with its conversion."""
    m, k, n = shape

    def multiply(x_MQ: tf.Tensor, kernel_QR: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x_MQ, tf.cast(kernel_QR, dtype))

    return Piece(name, count, multiply, (tf.ones((m, k), dtype), tf.ones((k, n))), training_flop(m * k * n))


def _attentions(a: Architecture, batch: MaskedBatch, products: StepProducts, dtype: tf.DType) -> Iterator[Piece]:
    """Attention of the layers for all tokens, and of the last one for masked positions."""
    tokens, masked = tf.size(batch.ids_BT).numpy(), tf.size(batch.positions_BP).numpy()
    qkv_NK = tf.ones((tokens, 3 * a.hidden_dim), dtype)
    at = tf.ones((masked, a.hidden_dim), dtype), tf.ones((tokens, 2 * a.hidden_dim), dtype)
    flop = products.attention_flop / a.num_layers  # of the mean layer: their sum is shown
    for each in (_rotary if a.rotary_layers else _post_norm)(a, batch):
        yield Piece("attention", each.layers, each.function, (qkv_NK,) if each.of_all else at, flop)


def _post_norm(a: Architecture, batch: MaskedBatch) -> Iterator[Attention]:
    """Of layers with positions in the embeddings or as a bias of the scores."""
    bias_K = tf.zeros(3 * a.hidden_dim)
    score_bias: Tensors = ()
    if a.num_buckets:
        score_bias = (distance_bias(tf.ones((a.num_buckets, a.num_heads)), batch.ids_BT.shape[1]),)
    bias_at = tuple(distance_bias_at(each, batch.positions_BP) for each in score_bias)

    def whole(qkv_NK: tf.Tensor) -> tf.Tensor:
        return attention(qkv_NK, bias_K, batch.segments_BT, a.num_heads, score_bias)

    def at(q_MH: tf.Tensor, kv_NJ: tf.Tensor) -> tf.Tensor:
        return attention_at(q_MH, kv_NJ, bias_K, batch.positions_BP, batch.segments_BT, a.num_heads, bias_at)

    yield Attention(a.num_layers - 1, whole, of_all=True)
    yield Attention(1, at, of_all=False)


def _rotary(a: Architecture, batch: MaskedBatch) -> Iterator[Attention]:
    """Of layers with rotary positions."""
    positions_BT, heads = restarting_positions(batch.segments_BT), a.num_heads

    def whole(layer: RotaryLayer, qkv_NK: tf.Tensor) -> tf.Tensor:
        turn = rotation(positions_BT, a.hidden_dim // heads, layer.base)
        return rotary_attention(qkv_NK, turn, batch.segments_BT, heads, layer.window)

    def at(layer: RotaryLayer, q_MH: tf.Tensor, kv_NJ: tf.Tensor) -> tf.Tensor:
        turn = rotation(positions_BT, a.hidden_dim // heads, layer.base)
        return rotary_attention_at(q_MH, kv_NJ, turn, batch.positions_BP, batch.segments_BT, heads, layer.window)

    *layers, last = a.rotary_layers
    for layer, count in Counter(layers).items():
        yield Attention(count, partial(whole, layer), of_all=True)
    yield Attention(1, partial(at, last), of_all=False)


def _elementwise(a: Architecture, tokens: int, layers: int, dtype: tf.DType) -> Iterator[Piece]:
    """Activations and norms of some layers that compute `tokens` tokens."""
    x_NH, x_NF = tf.ones((tokens, a.hidden_dim), dtype), tf.ones((tokens, a.inner_dim), dtype)
    scale_H, epsilon = tf.ones(a.hidden_dim), a.norm_epsilon
    if a.rotary_layers:
        yield Piece("GELU", layers, gated_gelu, (x_NF,))
        yield Piece("LayerNorm", 2 * layers, partial(sum_norm, epsilon=epsilon), (x_NH, x_NH, scale_H))
        return
    yield Piece("GELU", layers, bias_gelu, (x_NF, tf.ones(a.inner_dim)))
    yield Piece("LayerNorm", 2 * layers, partial(add_norm, epsilon=epsilon), (x_NH, x_NH, scale_H, scale_H, scale_H))


def _compiled(piece: Piece) -> Callable[[], Any]:
    """Computes a piece and its gradients once; both are results, so that TensorFlow leaves nothing out."""

    def compute(*operands: tf.Tensor) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(operands)
            results = piece.function(*operands)
        return results, tape.gradient(results, operands)

    return _call(compute, piece.operands)


def _optimizer(encoder: Encoder) -> Callable[[], Any]:
    """AdamW's update of all weights."""
    variables = [tf.Variable(tf.ones(variable.shape)) for variable in encoder.weights.values()]
    optimizer = AdamW(variables, weight_decay=0.01, clip_norm=1.0)
    gradients = tuple(tf.ones(variable.shape) for variable in variables)

    def update(*gradients: tf.Tensor) -> tf.Tensor:
        return optimizer.apply(gradients, tf.constant(1e-6))

    return _call(update, gradients)


def _call(function: Callable[..., Any], operands: Tensors) -> Callable[[], Any]:
    return partial(tf.function(function, autograph=False).get_concrete_function(*operands), *operands)


def _row(line: Line, step_seconds: float) -> str:
    rate = f"{line.flop / line.seconds / 1e9:>10,.0f}" if line.flop else ""
    return f"{line.name:<46}{line.seconds * 1e3:>8,.0f}{line.seconds / step_seconds:>10.0%}{rate}"
