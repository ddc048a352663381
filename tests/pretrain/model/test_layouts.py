"""Published forms of checkpoints: each is loaded, trained for two steps, exported, and read by transformers."""

# B texts, T tokens, H hidden

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from corpora.post import Post
from pretrain.model.checkpoint import Checkpoint, load_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.run import run_pretraining
from tests.paths import SHARED
from tests.pretrain.model.layouts import LAYOUTS, Layout
from tests.pretrain.runs import config
from tests.pretrain.tiny import padded_batch
from tests.tokenizer.made_corpus import write_corpus
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.encoding.reader import load_reader

TOLERANCE = 1e-4  # of hidden states and logits against PyTorch
STEPS = 2
FIELD = SHARED / "field"
ALIKE_ONCE_LOADED = (  # no weight, entry of config.json or note differs from another's in kind
    "bert, saved again",
    "bert-base-NER",
    "torch.compile",
    "sentence-transformers with Dense",
    "safetensors of tied tensors",
    "float64",
    "tie_word_embeddings false, equal tables",
)

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
by_layout = pytest.mark.parametrize("name", LAYOUTS)


@pytest.fixture(scope="module")
def made(small_rows, tmp_path_factory):
    """family -> folder with 'rows' and 'tokenizer'; with the padding id 1 where that is counted from."""
    folder = tmp_path_factory.mktemp("made")
    vocabulary = shutil.copytree(small_rows / "tokenizer", folder / "tokenizer") / "tokenizer.json"
    content = json.loads(vocabulary.read_text("utf-8"))
    ids = {"[UNK]": 0, "[PAD]": 1}
    content["model"]["vocab"] |= ids
    for token in content["added_tokens"]:
        token["id"] = ids.get(token["content"], token["id"])
    content["added_tokens"].sort(key=lambda token: token["id"])
    vocabulary.write_text(json.dumps(content), "utf-8")
    for name in ("vocab.txt", "manifest.json"):
        (vocabulary.parent / name).unlink()
    settings = EncodeConfig(row_length=32, validation_share=0.1)
    encode_rows(small_rows / "corpus", vocabulary.parent, folder / "rows", settings)
    counted = ("roberta", "camembert", "xlm-roberta", "mpnet")
    return lambda family: folder if family in counted else small_rows


@pytest.fixture(scope="module")
def published(made, tmp_path_factory):
    """name -> folder of the published checkpoint, written when it is first asked for."""
    folders: dict[str, Path] = {}

    def write(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("published") / "base"
            LAYOUTS[name].write(made(LAYOUTS[name].family) / "tokenizer", folders[name])
        return folders[name]

    return write


@pytest.fixture(scope="module")
def trained(made, published, tmp_path_factory):
    """name -> folder of the checkpoint after a run of two steps from the published one."""
    folders: dict[str, Path] = {}

    def train(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("trained") / "out"
            settings = config(base=str(published(name)), tokens=STEPS * 4 * 32, validation_rows=4, evaluations=0)
            texts = made(LAYOUTS[name].family)
            run_pretraining(texts / "rows", texts / "tokenizer", folders[name], settings)
        return folders[name]

    return train


def our_outputs(checkpoint: Checkpoint, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Hidden states and logits at the real tokens of a padded batch."""
    batch = padded_batch(family)
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    hidden_BTH = encoder.hidden(tf.constant(batch["ids"]), tf.constant(batch["mask"]))
    real = batch["mask"] == 1
    hidden_NH = tf.constant(hidden_BTH.numpy()[real])
    return hidden_NH.numpy(), (encoder.mlm_logits(hidden_NH) + encoder.weights["mlm/bias"]).numpy()


def assert_weights_are_those_published(layout: Layout, loaded: Checkpoint) -> None:
    for name, expected in layout.original().weights.items():
        if layout.has_head or not name.startswith("mlm/"):
            np.testing.assert_allclose(loaded.weights[name], expected, rtol=layout.tolerance, atol=1e-7, err_msg=name)


@by_layout
def test_published_form_is_read_and_what_is_passed_over_is_said(name, published):
    layout = LAYOUTS[name]
    loaded = load_checkpoint(published(name))
    assert_weights_are_those_published(layout, loaded)
    assert loaded.has_mlm_head == layout.has_head
    said = "\n".join(loaded.notes)
    assert all(expected in said for expected in layout.says), said
    assert bool(loaded.notes) == bool(layout.says)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE_ONCE_LOADED else name for name in LAYOUTS]
)
def test_published_form_is_trained_and_exported(name, published, trained):
    layout, start = LAYOUTS[name], load_checkpoint(published(name))
    end = load_checkpoint(trained(name))
    assert end.has_mlm_head
    assert end.notes == ()
    assert end.architecture == start.architecture
    moved = {key: float(np.abs(end.weights[key] - start.weights[key]).max()) for key in end.weights}
    assert 0 < max(moved.values()) < 0.1 or not layout.has_head  # two steps change weights a little, not their places
    notes = json.loads((trained(name) / "manifest.json").read_text())["counts"]["notes"]
    assert all(any(expected in note for note in notes) for expected in layout.says)


def assert_outputs_are_those_of_transformers(model, folder: Path, family: str) -> None:
    """Hidden states, and logits where `model` has an MLM head, at the real tokens of a padded batch."""
    import torch

    batch = padded_batch(family)
    ids, mask = (torch.tensor(batch[each]).long() for each in ("ids", "mask"))
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    real = batch["mask"] == 1
    hidden_NH, logits_NV = our_outputs(load_checkpoint(folder), family)
    np.testing.assert_allclose(hidden_NH, output.hidden_states[-1].numpy()[real], atol=TOLERANCE, rtol=0)
    if "logits" in output:
        np.testing.assert_allclose(logits_NV, output.logits.numpy()[real], atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.torch
@needs_torch
@by_layout
def test_transformers_reads_the_export_with_the_same_outputs(name, trained):
    from transformers import AutoModelForMaskedLM

    model, info = AutoModelForMaskedLM.from_pretrained(trained(name), output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    assert_outputs_are_those_of_transformers(model, trained(name), LAYOUTS[name].family)


@pytest.mark.torch
@needs_torch
@pytest.mark.parametrize(
    "name", [name for name, layout in LAYOUTS.items() if not layout.without and "config.json" not in name]
)
def test_transformers_reads_the_published_form_with_the_same_outputs(name, published):
    """Where transformers can read the published file itself, its outputs are ours, too."""
    import torch
    from transformers import AutoModel, AutoModelForMaskedLM

    layout, folder = LAYOUTS[name], published(name)
    family = AutoModelForMaskedLM if layout.has_head else AutoModel
    model, info = family.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if missing:
        pytest.skip(f"transformers does not read it: missing {missing[0]} and {len(missing) - 1} more")
    assert_outputs_are_those_of_transformers(model, folder, layout.family)


@pytest.mark.skipif(not FIELD.is_dir(), reason=f"no folder {FIELD} with checkpoints of others")
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("module_prefix", "all tensor names begin with 'module.', which was removed"),
        ("question_answering_head", "passed over, as not of the encoder or its MLM head: qa_outputs (66 weights)"),
        ("sharded_safetensors", "221 tokens keep the base's vector"),
    ],
)
def test_checkpoints_of_others_are_trained_and_exported(case, said, tmp_path, capsys):
    base = FIELD / case / "base"
    words = [token for token in load_reader(base).tokens() if token.isalpha()]
    texts = [" ".join(words[(7 * n + k * k) % len(words)] for k in range(20)) for n in range(60)]
    write_corpus(tmp_path / "corpus", [Post(str(n), "question", text, "", ()) for n, text in enumerate(texts)])
    encode_rows(tmp_path / "corpus", base, tmp_path / "rows", EncodeConfig(row_length=32, validation_share=0.1))
    settings = config(base=str(base), tokens=STEPS * 4 * 32, validation_rows=4, evaluations=0)
    run_pretraining(tmp_path / "rows", base, tmp_path / "out", settings)
    assert said in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "out").notes == ()
