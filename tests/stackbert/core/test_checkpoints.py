"""Where base checkpoints are found, and the errors if they are not."""

from fnmatch import fnmatch

import pytest

from stackbert.core import checkpoints as bases
from stackbert.core.checkpoints import BaseError, resolve_base


def test_a_folder_is_used_as_it_is(tmp_path):
    assert resolve_base(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["/no/such", "./no/such", "~/models", "nothing", "a/b/c"])
def test_the_error_for_an_unknown_folder_lists_the_possible_bases(name):
    with pytest.raises(BaseError) as error:
        resolve_base(name)
    assert str(error.value).startswith(f"{name}: no such folder")
    assert all(word in str(error.value) for word in ("'minilm'", "owner/name", "random-tiny"))


def test_random_weights_have_no_folder():
    with pytest.raises(BaseError, match="'random-tiny' has neither weights nor a tokenizer"):
        resolve_base("random-tiny")


def fake_minilm(folder, monkeypatch, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    monkeypatch.setattr(bases, "_installed_minilm", lambda: folder)


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path, monkeypatch):
    fake_minilm(tmp_path, monkeypatch, b"changed")
    with pytest.raises(BaseError, match=r"has sha256 [0-9a-f]{64}, not the published"):
        resolve_base("minilm")


def test_published_weights_are_accepted(tmp_path, monkeypatch):
    fake_minilm(tmp_path, monkeypatch, b"")
    monkeypatch.setattr(bases, "MINILM_SHA256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert resolve_base("minilm") == tmp_path


@pytest.mark.parametrize(
    ("name", "hint"), [("minilm", "pip install"), ("owner/name", "check the name and the network")]
)
def test_the_error_for_an_unreachable_hub_has_advice(name, hint, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def refuse(*args, **kwargs):
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(bases, "_installed_minilm", lambda: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(BaseError, match="cannot be downloaded from the hub") as error:
        resolve_base(name)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("file", "is_asked_for"),
    [
        ("model.safetensors", True),
        ("model.safetensors.index.json", True),
        ("model-00002-of-00003.safetensors", True),
        ("config.json", True),
        ("pytorch_model.bin", False),
        ("pytorch_model-00001-of-00002.bin", False),
        ("model.fp16.safetensors", False),
        ("onnx/model.onnx", False),
        ("modules.json", True),
        ("1_Pooling/config.json", True),
        ("sentence_bert_config.json", True),
        ("2_Dense/pytorch_model.bin", False),
    ],
)
def test_the_hub_is_asked_for_weights_in_one_file_or_in_shards(file, is_asked_for):
    assert any(fnmatch(file, pattern) for pattern in bases.HUB_FILES) == is_asked_for


@pytest.mark.parametrize(
    "name", ["added_tokens.json", "sentencepiece.bpe.model", "spiece.model", "merges.txt", "vocab.txt"]
)
def test_every_file_of_a_tokenizer_is_downloaded(name, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda _, allow_patterns: asked.extend(allow_patterns) or tmp_path
    )
    resolve_base("owner/name")
    assert name in asked
