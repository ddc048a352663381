"""Compiling the training step for TPUs that are not here."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import tensorflow as tf

from pretrain.measure import tpu_compiler
from pretrain.measure.bench_models import named_model
from pretrain.measure.config import PreflightConfig
from pretrain.measure.preflight import GIB, Preflight, largest_batch, preflight
from pretrain.measure.step_program import stablehlo, step_program
from pretrain.measure.tpu_compiler import readable
from pretrain.model.architecture import read_architecture
from pretrain.model.checkpoint import random_weights
from stackbert.core.errors import StackbertError

PYTHON = os.environ.get("STACKBERT_TPU_PYTHON", "")
SMALL = PreflightConfig(topology="v5e:2x2", model="2x64", vocab_size=1_000, row_length=32, batch_rows=16)
WORDS = {"words_per_row": 40, "titles_per_row": 4}
needs_compiler = [pytest.mark.tpu, pytest.mark.skipif(not PYTHON, reason="STACKBERT_TPU_PYTHON names no compiler")]


def result(**changes) -> Preflight:
    made = Preflight("v5e:2x2", 4, 128, 512, 10**7, GIB, True, 197e9, 1_638e6, 1.0)
    return replace(made, **changes)


def test_program_is_the_whole_step():
    config = PreflightConfig(model="1x32", vocab_size=200, row_length=16)
    program, weights = step_program(config, 4, named_model(config))
    assert program.count("stablehlo.dot") >= 3 * 6, "forward and both products of each gradient"
    assert "tensor<200x32xf32>" in program
    assert weights == 200 * 32 + 512 * 32 + 2 * 32 + 2 * 32 + 12 * 32**2 + 13 * 32 + 32**2 + 32 + 2 * 32 + 200


def test_program_of_a_long_row_of_modernbert_has_blocks_only():
    fields = {"model_type": "modernbert", "vocab_size": 200, "hidden_size": 32, "num_attention_heads": 1}
    fields |= {"num_hidden_layers": 2, "intermediate_size": 48, "pad_token_id": 0}
    architecture = read_architecture(fields | {"layer_types": ["sliding_attention", "full_attention"]}, "here")
    config = PreflightConfig(row_length=1_024)
    program, _ = step_program(config, 1, (architecture, random_weights(architecture, 0)))
    assert "64x192x" in program
    assert "1024x1024x" not in program, "a table of all tokens by all tokens"


@pytest.mark.parametrize("micro_batch_rows", [0, 2])
def test_program_of_pairs_compares_those_of_all_chips(micro_batch_rows):
    config = PreflightConfig(model="1x32", vocab_size=200, row_length=16, pairs_per_row=3)
    config = replace(config, micro_batch_rows=micro_batch_rows)
    program, weights = step_program(config, 4, named_model(config), chips=4)
    assert "tensor<48x48xf32>" in program, "4 chips, 4 rows, 3 pairs"
    assert program.count("stablehlo.while") == (2 if micro_batch_rows else 0), "two passes over the micro-batches"
    assert weights == 200 * 32 + 512 * 32 + 2 * 32 + 2 * 32 + 12 * 32**2 + 13 * 32, "no MLM head"


def test_program_of_causal_language_modelling_predicts_at_every_position():
    config = PreflightConfig(model="1x32", vocab_size=200, row_length=16, causal=True)
    program, weights = step_program(config, 4, named_model(config))
    assert "tensor<64x200x" in program, "logits of 4 rows of 16"
    assert weights == step_program(replace(config, causal=False), 4, named_model(config))[1]


def test_program_of_words_predicts_once_a_title():
    config = PreflightConfig(model="1x32", vocab_size=200, row_length=16, words_per_row=9, titles_per_row=3)
    program, weights = step_program(config, 4, named_model(config))
    assert "tensor<12x200x" in program and "tensor<64x200x" not in program, "logits of 4 rows of 3 titles"
    assert weights == step_program(replace(config, words_per_row=0), 4, named_model(config))[1]


def test_objectives_exclude_each_other():
    with pytest.raises(StackbertError, match="pairs_per_row and causal: set one of them"):
        replace(SMALL, pairs_per_row=2, causal=True)
    with pytest.raises(StackbertError, match="causal and words_per_row: set one of them"):
        replace(SMALL, words_per_row=2, causal=True)


def test_program_is_translated_to_the_dialect_of_the_parser():
    assert readable("%1 = mhlo.erf %0 : tensor<4xf32>") == "%1 = chlo.erf %0 : tensor<4xf32> -> tensor<4xf32>"
    assert readable("mhlo.copy %0 : tensor<f32>") == "stablehlo.reshape %0 : (tensor<f32>) -> tensor<f32>"
    assert readable('dense<"0x05"> : tensor<2x2xi1>') == 'dense<"0x01000100"> : tensor<2x2xi1>'


def test_ops_that_run_on_the_host_only_are_named():
    def printing(x):
        return tf.strings.to_number(tf.strings.as_string(x))

    with pytest.raises(StackbertError, match="host only: AsString"):
        stablehlo(printing, [tf.TensorSpec((2,), tf.float32)])


def test_roofline_is_the_longer_of_arithmetic_and_traffic_and_the_exchange():
    traffic = result()
    assert traffic.step_seconds == pytest.approx(2e-3 + 2 * 4e7 * 3 / 4 / 200e9)
    arithmetic = result(bytes_accessed=0.0, flops=985e9)
    assert arithmetic.step_seconds == pytest.approx(5e-3 + 2 * 4e7 * 3 / 4 / 200e9)
    assert traffic.tokens_per_second == pytest.approx(128 * 512 / traffic.step_seconds)
    assert "bound by memory traffic" in str(traffic)
    assert "bound by arithmetic" in str(arithmetic)
    assert "does not fit: needs 20.00 of 16 GiB per chip" in str(result(memory=20 * GIB, fits=False))


def test_largest_batch_is_found_where_memory_grows_unevenly():
    compiled = []

    def check(config: PreflightConfig) -> Preflight:
        compiled.append(config.batch_rows)
        memory = GIB + config.batch_rows**2 * 2**10
        return result(batch_rows=config.batch_rows, memory=memory, fits=memory <= 16 * GIB)

    assert 3_700 < largest_batch(SMALL, result(), check).batch_rows <= 3_936  # 3,966 rows are 16 GiB
    assert len(compiled) < 10


def test_unknown_slices_and_batches_that_chips_cannot_share_are_refused():
    with pytest.raises(StackbertError, match="topology 'v9:2x2'"):
        preflight(replace(SMALL, topology="v9:2x2"))
    with pytest.raises(StackbertError, match="such as v5e:2x4"):
        preflight(replace(SMALL, topology="v5e-8"))
    with pytest.raises(StackbertError, match="multiple of the 4 chips"):
        preflight(replace(SMALL, batch_rows=6))


def test_search_for_a_batch_size_excludes_micro_batches():
    with pytest.raises(StackbertError, match="find_batch and micro_batch_rows: set one of them"):
        replace(SMALL, micro_batch_rows=2, find_batch=True)


def test_missing_compiler_says_how_to_get_one(tmp_path):
    with pytest.raises(StackbertError, match="cannot be started"):
        preflight(replace(SMALL, compiler_python=str(tmp_path / "python")))
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'jax'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    with pytest.raises(StackbertError, match="pip install jax libtpu"):
        preflight(replace(SMALL, compiler_python=str(bare)))


def test_a_program_that_is_no_python_is_no_compiler():
    with pytest.raises(StackbertError, match="has no TPU compiler"):
        preflight(replace(SMALL, compiler_python="true"))


def test_the_compiler_ends_with_the_process_that_started_it(tmp_path):
    code = "import time; time.sleep(60)"
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text(code)
    (tmp_path / "numpy.py").write_text(code)
    (tmp_path / "step.mlir").write_text("")
    command = [sys.executable, tpu_compiler.__file__, str(tmp_path / "step.mlir"), "v5e:2x2", tpu_compiler.WATCHING]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.stdin.close()
        assert process.wait(2) == 1


@pytest.mark.parametrize("topology", [pytest.param(name, marks=needs_compiler) for name in ("v5e:2x2", "v6e:2x2")])
def test_step_of_six_layers_fits(topology):
    found = preflight(PreflightConfig(topology=topology, batch_rows=128, compiler_python=PYTHON))
    print(found)
    assert found.fits
    assert found.chips == 4
    # each of the chip's 32 rows of 128 takes the products of the forward pass three times, the last layer's mostly
    # at masked positions
    assert 2.7e11 < found.flops < 3.2e11
    assert 0.2 * GIB < found.memory < 8 * GIB


@pytest.mark.parametrize("micro_batch_rows", [pytest.param(2, marks=needs_compiler)])
def test_step_in_micro_batches_costs_as_much_as_the_whole_batch(micro_batch_rows):
    whole = preflight(replace(SMALL, batch_rows=64, compiler_python=PYTHON))
    cut = preflight(replace(SMALL, batch_rows=64, micro_batch_rows=micro_batch_rows, compiler_python=PYTHON))
    print(whole, cut, sep="\n")
    assert 1 <= cut.flops / whole.flops < 1.6, "the optimizer's part is counted with each turn"


@pytest.mark.parametrize("micro_batch_rows", [pytest.param(rows, marks=needs_compiler) for rows in (0, 4)])
def test_step_of_pairs_fits(micro_batch_rows):
    config = replace(SMALL, batch_rows=64, pairs_per_row=2, compiler_python=PYTHON)
    found = preflight(replace(config, micro_batch_rows=micro_batch_rows))
    print(found)
    assert found.fits and found.flops > 0


@pytest.mark.parametrize("changes", [pytest.param(each, marks=needs_compiler) for each in ({"causal": True}, WORDS)])
def test_steps_of_causal_language_modelling_and_of_words_fit(changes):
    found = preflight(replace(SMALL, batch_rows=64, compiler_python=PYTHON, **changes))
    print(found)
    assert found.fits and found.flops > 0


@pytest.mark.parametrize("rows", [pytest.param(65_536, marks=needs_compiler)])
def test_step_too_large_for_the_chip_is_found(rows):
    found = preflight(PreflightConfig(topology="v5e:2x2", batch_rows=rows, compiler_python=PYTHON))
    print(found)
    assert not found.fits
    assert "does not fit" in str(found)
