"""Compiling fine-tuning for TPUs that are not here."""

import os
from dataclasses import replace

import pytest

from finetune.config import FinetuneConfig, FinetunePreflightConfig
from finetune.measure import preflight as measured
from finetune.measure.preflight import preflight
from pretrain.measure.config import PreflightConfig
from pretrain.measure.preflight import GIB, Preflight
from stackbert.core.errors import StackbertError

PYTHON = os.environ.get("STACKBERT_TPU_PYTHON", "")
SMALL = FinetunePreflightConfig(
    model="2x64",
    vocab_size=1_000,
    text_tokens=16,
    topology="v5e:2x2",
    compiler_python=PYTHON,
    recipe=FinetuneConfig(max_length=32, batch_size=64),
)
needs_compiler = [pytest.mark.tpu, pytest.mark.skipif(not PYTHON, reason="STACKBERT_TPU_PYTHON names no compiler")]


@pytest.fixture
def programs(monkeypatch) -> list[tuple[str, int, PreflightConfig]]:
    """What would be compiled for a TPU: programs, the parameters whose gradients are exchanged, requests."""
    seen: list[tuple[str, int, PreflightConfig]] = []

    def compile_program(program: str, weights: int, request: PreflightConfig) -> Preflight:
        seen.append((program, weights, request))
        return Preflight(request.topology, 4, request.batch_rows, request.row_length, weights, GIB, True, 1e9, 1e6, 1.0)

    monkeypatch.setattr(measured, "check_compiler", lambda python: None)
    monkeypatch.setattr(measured, "compile_program", compile_program)
    return seen


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
def test_programs_are_the_whole_step_and_the_pass(pooling, programs):
    found = preflight(replace(SMALL, recipe=replace(SMALL.recipe, pooling=pooling)))
    (step, weights, request), (encoding, exchanged, _) = programs
    assert request.batch_rows == 4 * 8, "a chip's 16 texts, two in each row"
    assert "tensor<1000x64xf32>" in step, "the update of the embeddings"
    assert step.count("stablehlo.dot") > 2 * encoding.count("stablehlo.dot") > 0
    assert weights > 1_000 * 64 and exchanged == 0
    assert found.training_texts_per_second == pytest.approx(64 / found.step.step_seconds)
    assert found.encoded_texts_per_second == pytest.approx(4 * 32 * 2 / found.encoding.step_seconds)
    assert str(found).count("texts/s at the roofline") == 2


def test_long_texts_have_a_row_each(programs):
    assert preflight(replace(SMALL, text_tokens=500)).texts_per_row == 1
    assert programs[0][2].batch_rows == 64


def test_batches_that_the_chips_cannot_share_are_refused():
    with pytest.raises(StackbertError, match="batch_size 30: must be a multiple of the 4 chips"):
        preflight(replace(SMALL, recipe=replace(SMALL.recipe, batch_size=30)))


@pytest.mark.parametrize("topology", [pytest.param(name, marks=needs_compiler) for name in ("v5e:2x2", "v6e:2x2")])
def test_fine_tuning_of_six_layers_fits(topology):
    recipe = FinetuneConfig(max_length=128, batch_size=256)
    found = preflight(
        replace(SMALL, model="6x384", vocab_size=30_522, text_tokens=64, topology=topology, recipe=recipe)
    )
    print(found)
    assert found.step.fits and found.encoding.fits
    # a training step takes about three passes, of which the features' is one
    step_rows, encoded_rows = found.step.batch_rows, found.encoding.batch_rows
    assert 2 < found.step.flops / step_rows / (found.encoding.flops / encoded_rows) < 5
    assert 0.1 * GIB < found.step.memory < 8 * GIB


@pytest.mark.parametrize("texts", [pytest.param(1_048_576, marks=needs_compiler)])
def test_a_step_too_large_for_the_chip_is_found(texts):
    recipe = FinetuneConfig(max_length=128, batch_size=texts)
    found = preflight(replace(SMALL, model="1x384", text_tokens=128, recipe=recipe))  # one layer: soon compiled
    print(found)
    assert not found.step.fits
    assert "does not fit" in str(found)
