"""Checkpoints as others write them, and as attackers would."""

import json
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pretrain.config import PretrainConfig
from pretrain.init.initial_checkpoint import build_initial_checkpoint
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.model.stored_tensors import CheckpointError
from stackbert.core.errors import StackbertError
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.encoding.packed_rows import PackedRows
from tokenizer.encoding.reader import load_reader


@pytest.fixture(params=["bert", "roberta", "distilbert"])
def saved(request, tmp_path) -> Path:
    save_checkpoint(tiny_checkpoint(request.param), tmp_path, tmp_path)
    return tmp_path


@pytest.fixture
def bert(tmp_path) -> Path:
    save_checkpoint(tiny_checkpoint("bert"), tmp_path, tmp_path)
    return tmp_path


def rewrite(folder: Path, change) -> None:
    """Replace the tensors by change(tensors)."""
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def assert_same(folder: Path, family: str, but: tuple[str, ...] = ()) -> None:
    loaded = load_checkpoint(folder)
    for name, weight in tiny_checkpoint(family).weights.items():
        if not name.startswith(but or "-"):
            np.testing.assert_array_equal(loaded.weights[name], weight, err_msg=name)


def test_bfloat16_is_read(bert):
    rewrite(bert, lambda tensors: {name: tensor.astype(ml_dtypes.bfloat16) for name, tensor in tensors.items()})
    for name, weight in load_checkpoint(bert).weights.items():
        assert weight.dtype == np.float32
        np.testing.assert_allclose(weight, tiny_checkpoint("bert").weights[name], rtol=1 / 128)


def test_missing_extra_and_misshaped_tensors_are_listed(bert):
    key = "bert.encoder.layer.1.output.dense.weight"
    rewrite(bert, lambda tensors: {k: v for k, v in tensors.items() if k != key} | {"bert.more": np.zeros(2, "f4")})
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(bert)
    assert f"missing {key}" in str(error.value)
    assert "unexpected bert.more" in str(error.value)


def test_misshaped_tensors_are_listed_with_both_shapes(bert):
    rewrite(bert, lambda tensors: tensors | {"bert.embeddings.word_embeddings.weight": np.zeros((47, 24), "f4")})
    with pytest.raises(CheckpointError, match=r"word_embeddings.weight has shape \(47, 24\), not \(48, 24\)"):
        load_checkpoint(bert)


def test_tensors_of_one_layer_that_cannot_be_joined_are_an_error(bert):
    rewrite(
        bert, lambda tensors: tensors | {"bert.encoder.layer.0.attention.self.query.weight": np.zeros((5, 7), "f4")}
    )
    with pytest.raises(CheckpointError, match=r"layer\.0\.attention\.self\.query\.weight"):
        load_checkpoint(bert)


def test_long_lists_are_cut(bert):
    rewrite(bert, lambda tensors: tensors | {f"bert.more{n}": np.zeros(1, "f4") for n in range(30)})
    with pytest.raises(CheckpointError, match=r"unexpected bert\.more0, .* and 25 more; "):
        load_checkpoint(bert)


def test_names_that_differ_in_a_number_are_listed_as_one(bert):
    rewrite(bert, lambda tensors: tensors | {f"bert.more.{n}.weight": np.zeros(1, "f4") for n in range(30)})
    with pytest.raises(CheckpointError, match=r"unexpected bert\.more\.N\.weight \(30 tensors\); "):
        load_checkpoint(bert)


class Canary:
    """Writes a file when unpickled."""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl", "tf_model.h5", "model.keras"])
def test_weights_that_can_run_code_are_refused_and_never_opened(name, bert):
    canary = bert / "canary"
    (bert / "model.safetensors").unlink()
    (bert / name).write_bytes(pickle.dumps(Canary(canary)))
    remedy = "convert it with" if name == "pytorch_model.bin" else "use a version of the checkpoint"
    with pytest.raises(CheckpointError, match=f"{name} can run code when loaded, so it is refused: {remedy}"):
        load_checkpoint(bert)
    assert not canary.exists()
    pickle.loads((bert / name).read_bytes())  # noqa: S301 - the file was a danger
    assert canary.exists()


def test_pickle_under_the_name_of_safetensors_is_refused(bert):
    canary = bert / "canary"
    (bert / "model.safetensors").write_bytes(pickle.dumps(Canary(canary)))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(bert)
    assert not canary.exists()


def header(entries: dict) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8 + b"{}",  # a header of 2^64 bytes
        struct.pack("<Q", 10**9) + b"{}",
        header({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}),
        header(
            {
                "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            }
        )
        + b"\0" * 12,
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}) + b"\0" * 4,
        header({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}) + b"\0" * 4,
    ],
    ids=["empty", "endless header", "huge header", "huge tensor", "overlap", "wrong size", "unknown dtype"],
)
def test_hostile_safetensors_are_refused(content, bert):
    (bert / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(bert)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", '{"layer_norm_eps": NaN}', "[" * 100_000])
def test_broken_configuration_is_refused(content, bert):
    (bert / "config.json").write_text(content)
    with pytest.raises(StackbertError, match=r"cannot be read|not an object"):
        load_checkpoint(bert)


def test_old_names_of_layer_norm_are_read(bert):
    def older(name: str) -> str:
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    rewrite(bert, lambda tensors: {older(name): tensor for name, tensor in tensors.items()})
    assert any("gamma" in name for name in load_file(bert / "model.safetensors"))
    assert_same(bert, "bert")


def test_names_without_prefix_are_read_and_the_missing_head_is_made(saved):
    family = json.loads((saved / "config.json").read_text())["model_type"]
    start = f"{family}."
    rewrite(saved, lambda tensors: {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)})
    loaded = load_checkpoint(saved)
    assert not loaded.has_mlm_head
    np.testing.assert_array_equal(loaded.weights["mlm/dense/kernel"], np.eye(24))
    assert_same(saved, family, but=("mlm/",))


def test_heads_of_other_tasks_and_copies_are_passed_over(bert):
    extra = (
        "bert.pooler.dense.weight",
        "cls.seq_relationship.weight",
        "classifier.bias",
        "bert.embeddings.position_ids",
    )
    rewrite(bert, lambda tensors: tensors | {name: np.zeros(3, "f4") for name in extra})
    assert_same(bert, "bert")
    assert load_checkpoint(bert).has_mlm_head


def test_copied_bias_of_the_head_is_read(bert):
    read, copy = "cls.predictions.bias", "cls.predictions.decoder.bias"
    rewrite(bert, lambda tensors: {copy if name == read else name: tensor for name, tensor in tensors.items()})
    assert load_checkpoint(bert).has_mlm_head
    assert_same(bert, "bert")


def test_head_that_is_there_in_part_is_an_error(bert):
    rewrite(bert, lambda tensors: {name: t for name, t in tensors.items() if name != "cls.predictions.bias"})
    with pytest.raises(CheckpointError, match=r"missing cls\.predictions\.bias"):
        load_checkpoint(bert)


def test_new_head_is_noted_and_starts_from_the_frequencies_of_tokens(small_rows, tiny_base, tmp_path):
    for path in tiny_base.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    rewrite(tmp_path, lambda tensors: {k: v for k, v in tensors.items() if not k.startswith("cls.")})
    rows = PackedRows(np.full((50, 20), 9, np.uint16), first_id=2, padding_id=0, text_bytes=1, text_tokens=1)
    start, notes = build_initial_checkpoint(
        PretrainConfig(base=str(tmp_path)), load_reader(small_rows / "tokenizer"), rows
    )
    assert "the base has no MLM head: a new one was initialised" in notes
    shares = np.exp(start.weights["mlm/bias"])
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares[9] == pytest.approx(1_001 / 1_120, rel=1e-5)


@pytest.mark.parametrize("name", ["bert.embeddings.LayerNorm.bias", "bert.encoder.layer.1.output.dense.weight"])
def test_export_that_is_not_what_was_to_be_written_is_refused(name, tmp_path, monkeypatch):
    def damage(tensors, path, **others):
        changed = tensors[name].copy()
        changed.flat[0] += 1
        save_file(tensors | {name: changed}, path, **others)

    monkeypatch.setattr("pretrain.model.checkpoint.save_file", damage)
    with pytest.raises(CheckpointError, match=r"differs from what was to be written in .*; check the disk"):
        save_checkpoint(tiny_checkpoint("bert"), tmp_path, tmp_path)


def test_configuration_that_contradicts_the_export_is_refused(tmp_path):
    checkpoint = tiny_checkpoint("bert")
    other = replace(checkpoint, config=checkpoint.config | {"layer_norm_eps": 1e-7})
    with pytest.raises(CheckpointError, match=r"to be written in config\.json"):
        save_checkpoint(other, tmp_path, tmp_path)


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    checkpoint = tiny_checkpoint("bert")
    checkpoint.weights["layer_0/attention/output/bias"][0] = np.nan
    with pytest.raises(CheckpointError, match=r"layer\.0\.attention\.output\.dense\.bias has 1 values .* not finite"):
        save_checkpoint(checkpoint, tmp_path, tmp_path)


def test_missing_folder_and_missing_weights_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: no such folder"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors; a checkpoint is a folder with"):
        load_checkpoint(tmp_path)
