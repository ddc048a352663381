"""The pieces of a training step."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from subprocess import run

import pytest
import tensorflow as tf

from pretrain.measure.bench import run_bench
from pretrain.measure.config import BenchConfig
from pretrain.measure.products import StepProducts, rates_by_library
from pretrain.measure.profile import Line, StepProfile, _compiled, _product
from pretrain.model.architecture import read_architecture
from pretrain.model.checkpoint import Checkpoint, random_weights, save_checkpoint
from stackbert.core.errors import StackbertError

TINY = BenchConfig(
    model="2x32", vocab_size=100, row_length=16, batch_rows=4, steps=2, precision="float32", profile=True
)
SIZES = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 0}
NAMES = [
    "products of the layers",
    "products of the MLM head",
    "attention",
    "GELU",
    "LayerNorm",
    "cross entropy",
    "AdamW",
]


@pytest.fixture(autouse=True)
def small_products(monkeypatch):
    """The ceiling is measured with small products: its value is not tested."""
    monkeypatch.setattr("pretrain.measure.products.LARGE", (256, 256, 256))
    monkeypatch.setattr("pretrain.measure.products.REPEATS", 1)
    monkeypatch.setattr("pretrain.measure.profile.ROUNDS", 1)


def profile_of(config):
    result = run_bench(config)
    assert result.profile
    return result


@pytest.mark.parametrize("family", ["bert", "mpnet", "modernbert"])
def test_pieces_compute_all_of_a_steps_products(family, tmp_path):
    config = SIZES | {"model_type": family}
    architecture = read_architecture(config, family)
    save_checkpoint(
        Checkpoint(architecture, config, random_weights(architecture, 0), has_mlm_head=True), tmp_path, tmp_path
    )
    result = profile_of(replace(TINY, model=str(tmp_path)))
    lines = result.profile.lines
    assert [line.name for line in lines] == NAMES
    assert all(line.seconds > 0 for line in lines)
    assert sum(line.flop for line in lines) == pytest.approx(result.step_flop)


def test_table_adds_up_to_the_step():
    lines = (Line("attention", 0.3, 6e9), Line("GELU", 0.1, 0.0))
    text = str(StepProfile(0.5, lines, {"XLA": {"float32": 1e11}}))
    assert [line.split()[-3:] for line in text.splitlines()[1:3]] == [["300", "60%", "20"], ["GELU", "100", "20%"]]
    assert text.splitlines()[3].split()[-2:] == ["100", "20%"]  # the rest
    assert "GFLOP/s: XLA 100 (float32)" in text


def test_a_piece_is_computed_forward_and_backward():
    piece = _product("products", (4, 3, 2), 1, tf.float32)
    (result, gradients), graph = _compiled(piece)(), _compiled(piece).func.graph
    assert [tuple(each.shape) for each in (result, *gradients)] == [(4, 2), (4, 3), (3, 2)]
    assert sum(op.type == "MatMul" for op in graph.get_operations()) == 3 == piece.flop / (2 * 4 * 3 * 2)


def test_profile_is_printed_below_the_speed():
    text = str(profile_of(TINY))
    assert "tokens/s" in text.splitlines()[0]
    assert "products of the layers" in text
    assert "fastest product by library, GFLOP/s: TensorFlow" in text


def test_every_installed_library_is_timed(monkeypatch):
    products = StepProducts(read_architecture(SIZES | {"model_type": "bert"}, ""), 2, 16, 4)
    monkeypatch.setattr("pretrain.measure.products.find_spec", lambda name: None)
    rates = rates_by_library(products)
    assert list(rates) == ["TensorFlow", "XLA"]
    assert all(flops > 0 for of in rates.values() for flops in of.values())


@pytest.mark.torch
@pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
def test_pytorch_is_timed_in_a_process_of_its_own(monkeypatch):
    processes = []

    def recorded(command, **options):
        processes.append(command[0])
        return run(command, **options)

    monkeypatch.setattr("pretrain.measure.products.subprocess.run", recorded)
    rates = rates_by_library(StepProducts(read_architecture(SIZES | {"model_type": "bert"}, ""), 2, 16, 4))
    assert set(rates["PyTorch"]) == {"float32", "bfloat16"}
    assert all(flops > 0 for flops in rates["PyTorch"].values())
    assert processes == [sys.executable]


def test_accelerators_are_refused(monkeypatch):
    monkeypatch.setattr("pretrain.train.replicas.Replicas.accelerated", True)
    with pytest.raises(StackbertError, match="profile: only on a CPU"):
        run_bench(TINY)
