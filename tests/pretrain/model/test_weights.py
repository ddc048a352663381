"""Layers, sizes and tied tensors are those that the file holds."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.model.stored_tensors import CheckpointError
from tests.pretrain.model.rewriting import DECODER, WORD, assert_encoder_is, rewrite
from tests.pretrain.tiny import HIDDEN_DIM, tiny_checkpoint


@pytest.mark.parametrize(("stated", "number"), [(1, "0, 1"), (3, "0, 1"), (12, "0, 1"), (10**12, "0, 1")])
def test_layers_are_those_of_the_file(stated, number, any_family):
    field = "n_layers" if load_checkpoint(any_family).architecture.family.name == "distilbert" else "num_hidden_layers"
    rewrite(any_family, dict, **{field: stated})
    with pytest.raises(CheckpointError, match=f"{field} {stated}, but its layers are {number}; "):
        load_checkpoint(any_family)


def test_layer_that_is_missing_in_between_is_seen(bert):
    rewrite(bert, lambda tensors: {n: t for n, t in tensors.items() if ".layer.0." not in n})
    with pytest.raises(CheckpointError, match="num_hidden_layers 2, but its layers are 1; "):
        load_checkpoint(bert)


def test_missing_tensor_of_one_layer_is_named(any_family):
    names = load_file(any_family / "model.safetensors")
    name = next(name for name in names if ".layer.1." in name and name.endswith("bias"))
    rewrite(any_family, lambda tensors: {n: t for n, t in tensors.items() if n != name})
    with pytest.raises(CheckpointError, match=f"missing {name}; use the config.json and the weights of one"):
        load_checkpoint(any_family)


def test_layers_of_another_structure_are_shown(bert):
    rewrite(bert, lambda tensors: {n.replace("encoder.layer.", "encoder.layers."): t for n, t in tensors.items()})
    with pytest.raises(CheckpointError, match=r"no layers of that family beside its embeddings, but bert"):
        load_checkpoint(bert)


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", 48), ("vocab_size", 50), ("max_position_embeddings", 512), ("intermediate_size", 64)],
)
def test_sizes_that_contradict_the_tensors_are_named(field, value, bert):
    rewrite(bert, dict, **{field: value})
    with pytest.raises(CheckpointError, match=rf"has shape .*; config.json has {field} {value}; correct config.json"):
        load_checkpoint(bert)


@pytest.mark.parametrize(("field", "value"), [("embedding_size", 8), ("hidden_size", 48)])
def test_widths_of_electra_are_named_apart(field, value, tmp_path):
    save_checkpoint(tiny_checkpoint("electra"), tmp_path, tmp_path)
    rewrite(tmp_path, dict, **{field: value})
    with pytest.raises(CheckpointError, match=rf"has shape .*; config.json has {field} {value}; correct config.json"):
        load_checkpoint(tmp_path)


def test_new_head_of_narrow_embeddings_compares_states_with_projected_word_vectors(tmp_path):
    save_checkpoint(tiny_checkpoint("electra"), tmp_path, tmp_path)
    rewrite(tmp_path, lambda ts: {n: t for n, t in ts.items() if n.startswith("electra.")})
    loaded = load_checkpoint(tmp_path)
    assert not loaded.has_mlm_head
    projection_EH = tiny_checkpoint("electra").weights["embeddings/projection/kernel"]
    np.testing.assert_array_equal(loaded.weights["mlm/dense/kernel"], projection_EH.T)


def test_default_that_contradicts_the_tensors_is_said_to_be_one(bert):
    rewrite(bert, dict, hidden_size=None)
    with pytest.raises(CheckpointError, match=r"hidden_size 768 \(the default, as config.json gives none\)"):
        load_checkpoint(bert)


# tied tensors


def copies(family: str) -> tuple[tuple[str, str], ...]:
    """(copy, original) of the tensors that MLM classes share."""
    return {
        "bert": ((DECODER, WORD), ("cls.predictions.decoder.bias", "cls.predictions.bias")),
        "roberta": (
            ("lm_head.decoder.weight", "roberta.embeddings.word_embeddings.weight"),
            ("lm_head.decoder.bias", "lm_head.bias"),
        ),
        "electra": (("generator_lm_head.weight", "electra.embeddings.word_embeddings.weight"),),
        "mpnet": (
            ("lm_head.decoder.weight", "mpnet.embeddings.word_embeddings.weight"),
            ("lm_head.decoder.bias", "lm_head.bias"),
        ),
        "distilbert": (("vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight"),),
    }[family]


@pytest.mark.parametrize("form", ["both", "copy only"])
def test_tied_tensors_are_read_from_either_name(form, any_family):
    family = load_checkpoint(any_family).architecture.family.name
    for copy, original in copies(family):
        dropped = original if form == "copy only" else ""
        rewrite(
            any_family, lambda ts, c=copy, o=original, d=dropped: {n: t for n, t in ts.items() if n != d} | {c: ts[o]}
        )
        loaded = load_checkpoint(any_family)
        assert loaded.has_mlm_head
        assert loaded.notes == ()
        assert_encoder_is(family, any_family)


def test_copy_that_differs_is_refused_with_the_cure(any_family):
    for copy, original in copies(load_checkpoint(any_family).architecture.family.name):
        before = load_file(any_family / "model.safetensors")
        changed = before[original].copy()
        changed.flat[-1] += 1e-3
        rewrite(any_family, lambda ts, c=copy, t=changed: ts | {c: t})
        with pytest.raises(
            CheckpointError, match=f"{copy} differs from {original}, .*of its own; .*save it without its head"
        ):
            load_checkpoint(any_family)
        rewrite(any_family, lambda ts, b=before: b)


def test_decoder_of_another_size_is_refused(bert):
    rewrite(bert, lambda tensors: tensors | {DECODER: np.ones((64, HIDDEN_DIM), "f4")})
    with pytest.raises(CheckpointError, match=f"{DECODER} differs from {WORD}"):
        load_checkpoint(bert)


def test_untied_decoder_that_is_missing_is_not_replaced_by_the_word_table(bert):
    rewrite(bert, dict, tie_word_embeddings=False)
    with pytest.raises(CheckpointError, match=f"missing {DECODER}"):
        load_checkpoint(bert)


def test_untied_configuration_without_a_head_is_exported_as_tied(bert):
    rewrite(bert, lambda ts: {n: t for n, t in ts.items() if n.startswith("bert.")}, tie_word_embeddings=False)
    save_checkpoint(load_checkpoint(bert), bert, bert)
    assert "tie_word_embeddings" not in json.loads((bert / "config.json").read_text())
