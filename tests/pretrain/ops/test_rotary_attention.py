"""Attention with rotary positions in blocks is that of the whole table, whatever the row's length and segments."""

# B rows, T tokens, N = B x T, P positions a row, A heads, D head width, H hidden, K = 3H

import numpy as np
import pytest
import tensorflow as tf

from pretrain.model.layers import restarting_positions
from pretrain.ops import blocked_attention, rotary_attention
from pretrain.ops.attention import attention

HEADS, HEAD_DIM, ROWS = 2, 8, 2
WIDTH = HEADS * HEAD_DIM


def segments_of(tokens: int) -> np.ndarray:
    """A row of one text, and one of three texts and padding."""
    cut = np.searchsorted([tokens // 5, tokens // 2, tokens - 3], np.arange(tokens), side="right")
    return np.stack([np.ones(tokens), np.where(cut < 3, cut + 1, 0)]).astype(np.int32)


def expected_mixed(
    qkv_NK: tf.Tensor, segments_BT: np.ndarray, base: float, window: int, causal: bool = False
) -> tf.Tensor:
    """By the definition, with complex numbers for the rotation and one table of weights."""
    tokens = segments_BT.shape[1]
    q, k, v = (
        tf.transpose(x, (0, 2, 1, 3)) for x in tf.unstack(tf.reshape(qkv_NK, (ROWS, tokens, 3, HEADS, -1)), axis=2)
    )
    starts = np.array([[np.argmax(row == number) for number in row] for row in segments_BT])
    positions = np.arange(tokens) - starts
    angles = positions[:, None, :, None] * base ** -(np.arange(0, HEAD_DIM, 2) / HEAD_DIM)

    def turned(x):
        first, second = tf.split(x, 2, -1)
        rotated = tf.complex(first, second) * tf.constant(np.exp(1j * angles), tf.complex64)
        return tf.concat([tf.math.real(rotated), tf.math.imag(rotated)], -1)

    distances = np.subtract.outer(np.arange(tokens), np.arange(tokens))
    seen = (segments_BT[:, :, None] == segments_BT[:, None, :]) & ((np.abs(distances) <= window) if window else True)
    seen &= (distances >= 0) if causal else True
    scores = tf.matmul(turned(q), turned(k), transpose_b=True) / HEAD_DIM**0.5
    weights = tf.nn.softmax(tf.where(seen[:, None], scores, -np.inf))
    return tf.reshape(tf.transpose(tf.matmul(weights, v), (0, 2, 1, 3)), (-1, WIDTH))


def with_gradient(function, *inputs: tf.Tensor) -> tuple[np.ndarray, ...]:
    """Outputs, and gradients of their weighted sum."""

    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            mixed = function(*inputs)
            total = tf.reduce_sum(mixed * tf.cos(tf.reshape(tf.range(tf.size(mixed), dtype=tf.float32), mixed.shape)))
        return mixed, *tape.gradient(total, inputs)

    return tuple(each.numpy() for each in tf.function(run, autograph=False)(*inputs))


def projected(tokens: int, width: int = 3 * WIDTH, rows: int = ROWS) -> tf.Tensor:
    return tf.constant(np.random.default_rng(3).normal(0, 1, (rows * tokens, width)), tf.float32)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("tokens", "window", "way"),
    [
        (11, 4, "whole"),
        (16, 4, "locally"),  # a whole number of blocks
        (23, 4, "locally"),
        (23, 1, "locally"),
        (20, 0, "whole"),
        (24, 0, "in turn"),
        (29, 0, "in turn"),
    ],
)
def test_every_way_gives_the_outputs_and_gradients_of_the_definition(tokens, window, way, causal, monkeypatch):
    monkeypatch.setattr(rotary_attention, "LONGEST_WHOLE", 20)
    monkeypatch.setattr(blocked_attention, "QUERIES_AT_ONCE", 8)
    assert rotary_attention._way(tokens, window) == way
    segments_BT, qkv_NK = segments_of(tokens), projected(tokens)
    turn = rotary_attention.rotation(restarting_positions(tf.constant(segments_BT)), HEAD_DIM, 50.0)
    is_real = segments_BT.reshape(-1) > 0

    def ours(qkv_NK):
        mixed_NH = rotary_attention.rotary_attention(qkv_NK, turn, tf.constant(segments_BT), HEADS, window, causal)
        return tf.where(is_real[:, None], mixed_NH, 0.0)

    def theirs(qkv_NK):
        return tf.where(is_real[:, None], expected_mixed(qkv_NK, segments_BT, 50.0, window, causal), 0.0)

    for found, expected in zip(with_gradient(ours, qkv_NK), with_gradient(theirs, qkv_NK), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("window", [0, 3])
def test_tokens_at_some_positions_attend_as_in_the_whole_row(window):
    tokens, positions_BP = 14, np.array([[13, 0, 5], [2, 9, 0]], np.int32)
    segments_BT, qkv_NK = segments_of(tokens), projected(tokens)
    chosen_M = (positions_BP + tokens * np.arange(ROWS)[:, None]).reshape(-1)
    turn = rotary_attention.rotation(restarting_positions(tf.constant(segments_BT)), HEAD_DIM, 50.0)

    def ours(qkv_NK):
        q_MH, kv_NJ = tf.gather(qkv_NK[:, :WIDTH], chosen_M), qkv_NK[:, WIDTH:]
        arguments = turn, tf.constant(positions_BP), tf.constant(segments_BT), HEADS, window
        return rotary_attention.rotary_attention_at(q_MH, kv_NJ, *arguments)

    def theirs(qkv_NK):
        return tf.gather(expected_mixed(qkv_NK, segments_BT, 50.0, window), chosen_M)

    for found, expected in zip(with_gradient(ours, qkv_NK), with_gradient(theirs, qkv_NK), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_long_rows_keep_for_the_backward_pass_is_linear_in_their_tokens():
    """No tensor of all queries by all keys, in local and in global layers."""
    tokens = 1_024
    segments_BT = tf.ones((1, tokens), tf.int32)
    turn = rotary_attention.rotation(restarting_positions(segments_BT), HEAD_DIM, 50.0)
    for window in (64, 0):
        saved = rotary_attention._forward(
            projected(tokens, rows=1), turn, segments_BT, HEADS, window, rotary_attention._way(tokens, window)
        )
        assert max(int(tf.size(each)) for each in saved) <= HEADS * tokens * 3 * 64


@pytest.mark.parametrize("kind", ["bert", "whole", "locally", "in turn"])
def test_bfloat16_products_are_those_of_tensorflow_and_results_agree_with_float32(kind, monkeypatch):
    """XLA has none on a CPU. In float32 the whole attention is one op of XLA."""
    monkeypatch.setattr(rotary_attention, "LONGEST_WHOLE", 20)
    monkeypatch.setattr(blocked_attention, "QUERIES_AT_ONCE", 8)
    tokens, window = {"bert": (16, 0), "whole": (11, 4), "locally": (23, 4), "in turn": (29, 0)}[kind]
    segments_BT = tf.constant(segments_of(tokens))
    turn = rotary_attention.rotation(restarting_positions(segments_BT), HEAD_DIM, 50.0)
    rounded_NK = tf.cast(projected(tokens), tf.bfloat16)

    def attend(qkv_NK):
        if kind == "bert":
            return attention(qkv_NK, tf.zeros(3 * WIDTH), segments_BT, HEADS)
        return rotary_attention.rotary_attention(qkv_NK, turn, segments_BT, HEADS, window)

    def run(qkv_NK):
        with tf.GradientTape() as tape:
            tape.watch(qkv_NK)
            mixed_NH = tf.where(tf.reshape(segments_BT, (-1, 1)) > 0, tf.cast(attend(qkv_NK), tf.float32), 0.0)
            total = tf.reduce_sum(mixed_NH * tf.cos(tf.range(WIDTH, dtype=tf.float32)))
        return mixed_NH, tf.cast(tape.gradient(total, qkv_NK), tf.float32)

    results, products = {}, {}
    for dtype in (tf.float32, tf.bfloat16):
        function = tf.function(run, autograph=False).get_concrete_function(tf.cast(rounded_NK, dtype))
        results[dtype] = function(tf.cast(rounded_NK, dtype))
        products[dtype] = "MatMul" in str({node.op for node in all_nodes(function)})
    assert products == {tf.float32: False, tf.bfloat16: True}
    for found, expected in zip(results[tf.bfloat16], results[tf.float32], strict=True):
        np.testing.assert_allclose(found, expected, atol=0.05)
        assert not np.array_equal(found, expected)


def all_nodes(function):
    """Nodes of a graph and of the functions that it calls, but not of what XLA compiles."""
    definition = function.graph.as_graph_def()
    functions = {each.signature.name: each for each in definition.library.function}
    nodes = waiting = list(definition.node)
    while waiting:
        called = {attribute.func.name for node in waiting for attribute in node.attr.values()} & set(functions)
        bodies = [functions.pop(name) for name in called]
        waiting = [node for body in bodies if not body.attr["_XlaMustCompile"].b for node in body.node_def]
        nodes = nodes + waiting
    return nodes
