"""Weight interpolation between a base and its adapted checkpoint."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pretrain.config import MergeConfig, PretrainConfig
from pretrain.init.transfer import transfer_vocabulary
from pretrain.merge import merge_checkpoints
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint, with_positions
from pretrain.model.stored_tensors import WEIGHTS_FILE
from pretrain.run import run_pretraining
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.pretrain.sample_rows import encode_with_new_vocabulary
from tokenizer.encoding.reader import load_reader

QUARTER = MergeConfig(share=0.25)
RUN = PretrainConfig(
    steps=1, batch_rows=2, evaluations=0, validation_rows=2, extend_positions=True, precision="float32"
)


@pytest.fixture(scope="module")
def headless(tiny_base, tmp_path_factory) -> Path:
    """The tiny base without its MLM head, as sentence encoders are published."""
    folder = tmp_path_factory.mktemp("headless")
    for path in tiny_base.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(folder / WEIGHTS_FILE)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("cls.")}
    assert len(kept) < len(tensors)
    save_file(kept, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def other_rows(small_rows, tmp_path_factory) -> Path:
    """A folder with 'tokenizer' and 'rows' of a smaller vocabulary."""
    return encode_with_new_vocabulary(small_rows / "corpus", tmp_path_factory.mktemp("other"), 90, 32)


@pytest.fixture(scope="module")
def adapted(headless, other_rows, tmp_path_factory) -> Path:
    """The headless base, transferred to the smaller vocabulary and trained for a step."""
    out = tmp_path_factory.mktemp("adapted") / "run"
    run_pretraining(other_rows / "rows", other_rows / "tokenizer", out, replace(RUN, base=str(headless)))
    return out


def test_weights_lie_at_the_share_between_both(tiny_base, tmp_path):
    start = load_checkpoint(tiny_base)
    moved = {name: array + 1 for name, array in start.weights.items()}
    (tmp_path / "moved").mkdir()
    save_checkpoint(replace(start, weights=moved), tiny_base, tmp_path / "moved")
    manifest = merge_checkpoints(tiny_base, tmp_path / "moved", tmp_path / "out", QUARTER)
    merged = load_checkpoint(tmp_path / "out")
    assert merged.architecture == start.architecture and merged.has_mlm_head
    for name, array in merged.weights.items():
        np.testing.assert_allclose(array, start.weights[name] + 0.25, atol=1e-6, err_msg=name)
    assert manifest.config == {"share": 0.25} and set(manifest.inputs) == {"base", "adapted"}
    assert "tokens" not in manifest.counts  # as nothing says how many there were
    assert load_reader(tmp_path / "out").tokens() == load_reader(tiny_base).tokens()


def test_base_of_another_vocabulary_is_transferred_as_at_step_0(headless, adapted, tmp_path):
    merge_checkpoints(headless, adapted, tmp_path / "out", QUARTER)
    base, end, merged = map(load_checkpoint, (headless, adapted, tmp_path / "out"))
    start, counts = transfer_vocabulary(base, load_reader(headless), load_reader(adapted), "mean", RUN.seed)
    assert counts.built + counts.shared < load_reader(headless).vocab_size
    start = with_positions(start, 32)
    for name, array in merged.weights.items():
        expected = (
            end.weights[name] if name.startswith("mlm/") else 0.75 * start.weights[name] + 0.25 * end.weights[name]
        )
        np.testing.assert_allclose(array, expected, atol=1e-6, err_msg=name)
    word = "embeddings/word"
    assert np.abs(end.weights[word] - start.weights[word]).max() > 1e-4  # the step did move it
    counts = load_manifest(tmp_path / "out").counts
    assert counts["tokens"] == load_manifest(adapted).counts["tokens"] == 64
    assert "0.25 x `run`" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_another_base_is_refused(tiny_base, headless, adapted, other_rows, tmp_path):
    with pytest.raises(
        StackbertError, match=r"has another vocabulary than .*, and was not trained from it; pass its own base"
    ):
        merge_checkpoints(tiny_base, adapted, tmp_path / "out", QUARTER)
    settings = replace(RUN, base=str(headless), transfer="similar")
    run_pretraining(other_rows / "rows", other_rows / "tokenizer", tmp_path / "similar", settings)
    with pytest.raises(StackbertError, match="transfer similar"):
        merge_checkpoints(headless, tmp_path / "similar", tmp_path / "out", QUARTER)
    base = shutil.copytree(tiny_base, tmp_path / "base")
    config = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3}), "utf-8")
    with pytest.raises(StackbertError, match=r"differs from .* in norm_epsilon; merge a checkpoint with its own base"):
        merge_checkpoints(tiny_base, base, tmp_path / "out", QUARTER)
    assert not (tmp_path / "out").exists()
