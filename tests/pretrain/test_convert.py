"""Checkpoints in PyTorch's own format become safetensors, without running what is in them."""

import json
import os
import shutil
import sys

import numpy as np
import pytest

from pretrain.convert import _keep_case, convert_checkpoint, convert_where_needed
from pretrain.model.checkpoint import hugging_face_tensors, load_checkpoint
from pretrain.model.stored_tensors import PYTORCH_FILE, PYTORCH_INDEX_FILE, CheckpointError
from stackbert.core.artifact import load_manifest, write_json
from tests.pretrain.tiny import tiny_checkpoint
from tokenizer.files.tokenizer_files import load_tokenizer


@pytest.fixture
def scibert(tiny_base, tmp_path):
    """A checkpoint as SciBERT is published: pytorch_model.bin with older names and a pooler, and vocab.txt alone."""
    torch = pytest.importorskip("torch")
    folder = tmp_path / "scibert"
    folder.mkdir()
    for name in ("config.json", "vocab.txt"):
        shutil.copyfile(tiny_base / name, folder / name)
    checkpoint = tiny_checkpoint("bert", vocab_size=120)
    tensors = {name: torch.tensor(array) for name, array in hugging_face_tensors(checkpoint).items()}
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    word = tensors["bert.embeddings.word_embeddings.weight"]
    tensors |= {"cls.predictions.decoder.weight": word, "bert.embeddings.position_ids": torch.arange(20)[None]}
    tensors |= {"bert.pooler.dense.weight": word[:24], "bert.pooler.dense.bias": word[0]}
    torch.save(tensors, folder / PYTORCH_FILE)
    return folder


@pytest.mark.torch
def test_layout_of_scibert_is_converted_and_its_tokenizer_read(scibert, tmp_path):
    with pytest.raises(CheckpointError, match="stackbert pretrain convert"):
        load_checkpoint(scibert)
    convert_checkpoint(str(scibert), tmp_path / "out")
    found, expected = load_checkpoint(tmp_path / "out"), tiny_checkpoint("bert", vocab_size=120)
    assert found.has_mlm_head
    for name, array in expected.weights.items():
        np.testing.assert_array_equal(found.weights[name], array)
    assert load_manifest(tmp_path / "out").inputs.keys() == {PYTORCH_FILE, "config.json", "vocab.txt"}


CASED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcABC", "Hello", "World", "hello"]


@pytest.mark.torch
def test_cased_vocabulary_without_settings_keeps_case(scibert, tmp_path, capsys):
    letters = [chr(number) for number in range(0x100, 0x100 + 120 - len(CASED))]
    (scibert / "vocab.txt").write_text("".join(f"{token}\n" for token in [*CASED, *letters]), "utf-8")
    assert load_tokenizer(scibert).tokenize("Hello") == ["hello"]
    convert_checkpoint(str(scibert), tmp_path / "out")
    assert load_tokenizer(tmp_path / "out").tokenize("Hello") == ["Hello"]
    assert "so tokenizer_config.json was added: case is kept" in capsys.readouterr().out


def test_case_is_kept_of_cased_vocabularies_without_settings_only(tmp_path):
    for name, tokens, settings, expected in (
        ("cased", CASED, None, {"do_lower_case": False}),
        ("uncased", [token.lower() if token[0] != "[" else token for token in CASED], None, None),
        ("said", CASED, {"do_lower_case": True}, {"do_lower_case": True}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in dict.fromkeys(tokens)), "utf-8")
        write_json(folder / "config.json", {"model_type": "bert", "vocab_size": len(dict.fromkeys(tokens))})
        if settings:
            write_json(folder / "tokenizer_config.json", settings)
        _keep_case(folder)
        path = folder / "tokenizer_config.json"
        assert (json.loads(path.read_text()) if path.is_file() else None) == expected


def test_only_what_has_pytorch_files_alone_is_converted(tiny_base, tmp_path, monkeypatch):
    converted = []
    monkeypatch.setattr("pretrain.convert.convert_checkpoint", lambda name, out: converted.append((name, out)))
    out = tmp_path / "out"
    assert convert_where_needed(str(tiny_base), out) == str(tiny_base)
    assert convert_where_needed(str(tmp_path), out) == str(tmp_path)  # no weights at all: refused where they are read
    published = tmp_path / "published"
    published.mkdir()
    (published / PYTORCH_FILE).touch()
    monkeypatch.setattr("pretrain.convert.find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"published: has no model\.safetensors, .* needs PyTorch: pip install"):
        convert_where_needed(str(published), out)
    out.mkdir()
    write_json(out / "manifest.json", {})
    assert convert_where_needed(str(published), out) == str(out)  # made before, with PyTorch
    assert converted == [(str(published), out)]


@pytest.mark.torch
def test_older_configuration_is_written_as_transformers_reads_it(scibert, tmp_path):
    from transformers import AutoModelForMaskedLM

    fields = json.loads((scibert / "config.json").read_text())
    older = {name: value for name, value in fields.items() if name not in ("model_type", "architectures")}
    (scibert / "config.json").write_text(json.dumps(older | {"hidden_act": None}), "utf-8-sig")
    convert_checkpoint(str(scibert), tmp_path / "out")
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "out").config.model_type == "bert"


@pytest.mark.torch
def test_file_that_would_run_code_is_refused_and_does_not(scibert, tmp_path):
    torch = pytest.importorskip("torch")

    class Canary:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "canary"),)

    torch.save({"bert.embeddings.word_embeddings.weight": Canary()}, scibert / PYTORCH_FILE)
    with pytest.raises(CheckpointError, match="cannot read it as plain tensors"):
        convert_checkpoint(str(scibert), tmp_path / "out")
    assert not (tmp_path / "canary").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.torch
def test_other_content_and_missing_tensors_are_named(scibert, tmp_path):
    torch = pytest.importorskip("torch")
    contents = {"'step', a int": {"step": 3}, "None, a list": [1], "None, a Tensor": torch.ones(2)}
    for named, content in (contents | {"7, a Tensor": {7: torch.ones(2)}}).items():
        torch.save(content, scibert / PYTORCH_FILE)
        with pytest.raises(CheckpointError, match=f"does not hold named tensors only, but {named}; save the"):
            convert_checkpoint(str(scibert), tmp_path / "out")
    torch.save({"bert.embeddings.word_embeddings.weight": torch.zeros(120, 24)}, scibert / PYTORCH_FILE)
    with pytest.raises(CheckpointError, match=rf"^{scibert / PYTORCH_FILE}: .* num_hidden_layers 2, but .* no layers"):
        convert_checkpoint(str(scibert), tmp_path / "out")


@pytest.fixture
def sharded(scibert):
    """The same in two shards, as PyTorch checkpoints were published beyond some size; returns the folder."""
    torch = pytest.importorskip("torch")
    tensors = torch.load(scibert / PYTORCH_FILE, weights_only=True)
    (scibert / PYTORCH_FILE).unlink()
    names, index = sorted(tensors), {}
    for number in (1, 2):
        file = f"pytorch_model-0000{number}-of-00002.bin"
        part = {name: tensors[name] for name in names[number - 1 :: 2]}
        torch.save(part, scibert / file)
        index |= dict.fromkeys(part, file)
    (scibert / PYTORCH_INDEX_FILE).write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return scibert


@pytest.mark.torch
def test_shards_become_one_file(sharded, tmp_path):
    with pytest.raises(CheckpointError, match="can run code when loaded, so it is refused: convert it with"):
        load_checkpoint(sharded)
    convert_checkpoint(str(sharded), tmp_path / "out")
    found, expected = load_checkpoint(tmp_path / "out"), tiny_checkpoint("bert", vocab_size=120)
    for name, array in expected.weights.items():
        np.testing.assert_array_equal(found.weights[name], array)
    assert PYTORCH_INDEX_FILE in load_manifest(tmp_path / "out").inputs
    assert sorted(path.name for path in (tmp_path / "out").glob("*model*")) == ["model.safetensors"]


@pytest.mark.torch
def test_shards_that_contradict_their_index_are_refused(sharded, tmp_path):
    torch = pytest.importorskip("torch")
    first, second = (f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2))
    tensors = torch.load(sharded / first, weights_only=True)
    name = next(iter(tensors))
    torch.save({key: tensor for key, tensor in tensors.items() if key != name}, sharded / first)
    with pytest.raises(CheckpointError, match=f"says that {first} holds {name}, which it does not"):
        convert_checkpoint(str(sharded), tmp_path / "out")
    (sharded / second).unlink()
    with pytest.raises(CheckpointError, match=f"1 of 2 shards are missing: {second}"):
        convert_checkpoint(str(sharded), tmp_path / "out")


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_other_precisions_are_converted(dtype, scibert, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = torch.load(scibert / PYTORCH_FILE, weights_only=True)
    floats = {name: tensor.to(getattr(torch, dtype)) for name, tensor in tensors.items() if "position_ids" not in name}
    torch.save(floats, scibert / PYTORCH_FILE)
    convert_checkpoint(str(scibert), tmp_path / "out")
    found, expected = load_checkpoint(tmp_path / "out"), tiny_checkpoint("bert", vocab_size=120)
    for name, array in expected.weights.items():
        np.testing.assert_allclose(found.weights[name], array, rtol=1 / 128)


@pytest.mark.torch
def test_type_that_numpy_lacks_is_named(scibert, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = torch.load(scibert / PYTORCH_FILE, weights_only=True)
    name = "bert.pooler.dense.weight"
    torch.save(tensors | {name: tensors[name].to(torch.float8_e4m3fn)}, scibert / PYTORCH_FILE)
    with pytest.raises(CheckpointError, match=rf"{name} is a torch\.float8_e4m3fn tensor that cannot be converted"):
        convert_checkpoint(str(scibert), tmp_path / "out")


def test_missing_package_or_file_says_what_to_do(tiny_base, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match=rf"no {PYTORCH_FILE} to convert"):
        convert_checkpoint(str(tiny_base), tmp_path / "out")
    folder = shutil.copytree(tiny_base, tmp_path / "old")
    (folder / "model.safetensors").rename(folder / PYTORCH_FILE)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CheckpointError, match=r"pip install 'stackbert\[convert\]'"):
        convert_checkpoint(str(folder), tmp_path / "out")
