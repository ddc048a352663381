"""Files of tensors: shards that contradict their index, types that are not weights, values that are not numbers."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.model.stored_tensors import CheckpointError, open_tensors
from stackbert.core.errors import StackbertError
from tests.pretrain.model.layouts import write_shards
from tests.pretrain.tiny import tiny_checkpoint

INDEX, FIRST, SECOND = (
    "model.safetensors.index.json",
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
)
WORD = "bert.embeddings.word_embeddings.weight"


@pytest.fixture(params=["bert", "distilbert"])
def sharded(request, tmp_path) -> Path:
    """A checkpoint in three shards, without the single file."""
    save_checkpoint(tiny_checkpoint(request.param), tmp_path, tmp_path)
    single = tmp_path / "model.safetensors"
    write_shards(load_file(single), tmp_path, 3)
    single.unlink()
    return tmp_path


@pytest.fixture
def bert(tmp_path) -> Path:
    save_checkpoint(tiny_checkpoint("bert"), tmp_path, tmp_path)
    return tmp_path


def change_index(folder: Path, change) -> None:
    content = json.loads((folder / INDEX).read_text())
    change(content)
    (folder / INDEX).write_text(json.dumps(content))


def first_of(folder: Path, shard: str) -> str:
    return next(iter(load_file(folder / shard)))


def test_shards_are_one_checkpoint(sharded):
    loaded = load_checkpoint(sharded)
    for name, expected in tiny_checkpoint(loaded.architecture.family.name).weights.items():
        np.testing.assert_array_equal(loaded.weights[name], expected, err_msg=name)


@pytest.mark.parametrize("missing", [(FIRST,), (FIRST, SECOND)])
def test_missing_shards_are_named(missing, sharded):
    for file in missing:
        (sharded / file).unlink()
    with pytest.raises(CheckpointError, match=rf"{len(missing)} of 3 shards are missing: {', '.join(missing)}; "):
        load_checkpoint(sharded)


def test_name_in_two_shards_is_refused(sharded):
    name = first_of(sharded, FIRST)
    tensors = load_file(sharded / SECOND) | {name: load_file(sharded / FIRST)[name]}
    save_file(tensors, sharded / SECOND)
    with pytest.raises(CheckpointError, match=f"{SECOND} holds {name}, which the index gives to another shard"):
        load_checkpoint(sharded)


def test_tensor_that_its_shard_lacks_is_named(sharded):
    name, *kept = load_file(sharded / FIRST)
    save_file({key: load_file(sharded / FIRST)[key] for key in kept}, sharded / FIRST)
    with pytest.raises(CheckpointError, match=f"says that {FIRST} holds {name}, which it does not"):
        load_checkpoint(sharded)


def test_shard_that_is_cut_off_is_named(sharded):
    (sharded / FIRST).write_bytes((sharded / FIRST).read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=f"{FIRST}: cannot be read: .*; download or copy it again"):
        load_checkpoint(sharded)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "part/model.safetensors", ""])
def test_index_names_files_of_its_own_folder_only(file, sharded):
    change_index(sharded, lambda content: content["weight_map"].update({"more": file}))
    with pytest.raises(CheckpointError, match="not a file of its own folder"):
        load_checkpoint(sharded)


@pytest.mark.parametrize("weights", [None, {}, [], {"a": 1}, "all"])
def test_index_without_a_map_is_refused(weights, sharded):
    change_index(sharded, lambda content: content.update(weight_map=weights))
    with pytest.raises(CheckpointError, match="weight_map is not an object"):
        load_checkpoint(sharded)


def test_index_that_is_cut_off_is_refused_with_line_and_column(sharded):
    (sharded / INDEX).write_text('{"weight_map": {')
    with pytest.raises(StackbertError, match=r"index\.json: cannot be read: .*line 1 column 17"):
        load_checkpoint(sharded)


def test_shards_without_their_index_are_named(sharded):
    (sharded / INDEX).unlink()
    with pytest.raises(CheckpointError, match=rf"and no {INDEX}, but {FIRST}, .*need their index"):
        load_checkpoint(sharded)


def test_single_file_beside_shards_is_read_and_said(sharded):
    family = json.loads((sharded / "config.json").read_text())["model_type"]
    save_checkpoint(tiny_checkpoint(family), sharded, sharded)
    (sharded / FIRST).unlink()
    assert load_checkpoint(sharded).notes == (f"model.safetensors was read, not the shards of {INDEX} beside it",)


def test_pointer_of_git_lfs_is_told_from_damage(bert):
    (bert / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(CheckpointError, match=r"is Git LFS's pointer to the weights, .*git lfs pull"):
        load_checkpoint(bert)


def test_folder_around_a_checkpoint_names_it(bert):
    inner = bert / "0_Transformer"
    inner.mkdir()
    (bert / "model.safetensors").rename(inner / "model.safetensors")
    with pytest.raises(CheckpointError, match="; 0_Transformer has one: name that folder"):
        load_checkpoint(bert)


def test_folders_around_checkpoints_are_named(bert):
    for name in ("checkpoint-500", "checkpoint-1000"):
        (bert / name).mkdir()
        (bert / name / "model.safetensors").write_bytes(b"")
    (bert / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="; checkpoint-1000, checkpoint-500 have one: name that folder"):
        load_checkpoint(bert)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["adapter_config.json", "adapter_model.safetensors"], "holds an adapter of peft .* merge_and_unload"),
        (["adapter_config.json", "adapter_model.bin"], "holds an adapter of peft .* merge_and_unload"),
        (["onnx/model.onnx"], r"but onnx/model\.onnx, which cannot be trained: use the checkpoint that it was made"),
        (["model.gguf"], r"but model\.gguf, which cannot be trained"),
        (["bert_model.ckpt.index"], r"but bert_model\.ckpt\.index, which cannot be trained"),
        (["epoch=3-step=100.ckpt"], "can run code when loaded, .*save the state_dict in it, and nothing else, as py"),
    ],
)
def test_weights_in_another_form_are_named_with_the_cure(files, message, bert):
    (bert / "model.safetensors").unlink()
    for name in files:
        (bert / name).parent.mkdir(exist_ok=True)
        (bert / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"no model.safetensors.*{message}"):
        load_checkpoint(bert)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.bool_, np.complex64])
@pytest.mark.parametrize("name", [WORD, "bert.encoder.layer.1.output.dense.weight"])
def test_tensors_of_other_types_are_refused(dtype, name, bert):
    tensors = load_file(bert / "model.safetensors")
    save_file(tensors | {name: np.ones(tensors[name].shape, dtype)}, bert / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"{name} holds \w+; weights are read from F32, F16, BF16, F64 only"):
        load_checkpoint(bert)


def test_types_that_numpy_does_not_know_are_refused(bert):
    tensors = load_file(bert / "model.safetensors")
    eight_bits = np.ones(tensors[WORD].shape, ml_dtypes.float8_e4m3fn)
    save_file(tensors | {WORD: eight_bits}, bert / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"{WORD} holds F8_E4M3"):
        load_checkpoint(bert)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("name", [WORD, "cls.predictions.bias", "bert.encoder.layer.0.attention.self.key.bias"])
def test_values_that_are_not_finite_are_refused_with_the_name(value, name, bert):
    tensors = load_file(bert / "model.safetensors")
    changed = tensors[name].astype(np.float64)
    changed.flat[3] = value
    save_file(tensors | {name: changed}, bert / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"{name} has 1 values of .* that are not finite"):
        load_checkpoint(bert)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_floating_point_of_any_width_is_read_to_float32(dtype, tmp_path):
    values = np.array([[0.0, -1.5, 2.0**-14], [1.0, 3.0, -0.375]])
    save_file({"a": values.astype(dtype)}, tmp_path / "model.safetensors")
    found = open_tensors(tmp_path).read("a")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)
