"""How a checkpoint pools: read as sentence-transformers writes it, written so that it is read back, carried over."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pretrain.config import MergeConfig, PretrainConfig
from pretrain.merge import merge_checkpoints
from pretrain.model.sentence_encoder import ModulesError, SentenceEncoder, load_sentence_encoder
from pretrain.run import run_pretraining
from stackbert.core.artifact import load_manifest

OLD, NEW = "sentence_transformers.models.", "sentence_transformers.sentence_transformer.modules."
RUN = PretrainConfig(
    steps=1, batch_rows=2, evaluations=0, validation_rows=2, extend_positions=True, precision="float32"
)
DECLARED = SentenceEncoder("mean", True, 16, {"similarity_fn_name": "cosine", "prompts": {"query": "q: "}})


def declare(folder: Path, pooling: dict, *kinds: str, prefix: str = OLD) -> Path:
    """Write modules of these kinds as sentence-transformers does."""
    names = ("Transformer", "Pooling", *kinds)
    paths = ["", *(f"{index}_{kind}" for index, kind in enumerate(names[1:], 1))]
    modules = [
        {"idx": 0, "name": "0", "path": path, "type": prefix + kind} for path, kind in zip(paths, names, strict=True)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def test_checkpoint_without_modules_declares_nothing(tiny_base):
    assert load_sentence_encoder(tiny_base) is None


def test_flags_and_names_of_poolings_are_read(tmp_path):
    flags = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
    folder = declare(tmp_path, flags, "Normalize")
    assert load_sentence_encoder(folder) == SentenceEncoder("mean", True)
    (folder / "sentence_roberta_config.json").write_text('{"max_seq_length": 75}')
    (folder / "config_sentence_transformers.json").write_text(
        '{"__version__": {"pytorch": "2"}, "prompts": {"q": "Q"}}'
    )
    assert load_sentence_encoder(folder) == SentenceEncoder("mean", True, 75, {"prompts": {"q": "Q"}})


@pytest.mark.parametrize(("modes", "expected"), [("cls", "cls"), (["cls", "mean"], "cls+mean"), (["mean"], "mean")])
def test_present_names_of_poolings_are_read(modes, expected, tmp_path):
    folder = declare(tmp_path, {"pooling_mode": modes, "include_prompt": True}, prefix=NEW)
    assert load_sentence_encoder(folder) == SentenceEncoder(expected, False)


@pytest.mark.parametrize(
    ("pooling", "kinds", "said"),
    [
        ({"pooling_mode": "max"}, (), "pooling max is not one of mean, cls, cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, (), "pooling max.mean"),
        ({}, (), "pooling of no kind"),
        ({"pooling_mode": "mean"}, ("Dense",), "Transformer, Pooling, Dense are not an encoder"),
    ],
)
def test_modules_that_are_not_ours_are_named(pooling, kinds, said, tmp_path):
    with pytest.raises(ModulesError, match=said):
        load_sentence_encoder(declare(tmp_path, pooling, *kinds))


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '[{"path": ""}]', "null"])
def test_broken_modules_are_refused(content, tmp_path):
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(ModulesError, match=r"modules\.json: declares a sentence encoder that cannot be used"):
        load_sentence_encoder(tmp_path)


def test_lowercasing_and_a_prompt_that_would_be_missing_are_refused(tmp_path):
    folder = declare(tmp_path, {"pooling_mode": "mean"})
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    with pytest.raises(ModulesError, match="do_lower_case"):
        load_sentence_encoder(folder)
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": false}')
    (folder / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')
    with pytest.raises(ModulesError, match="default_prompt_name is 'query'"):
        load_sentence_encoder(folder)


@pytest.mark.parametrize(
    "encoder", [DECLARED, SentenceEncoder("cls", False), SentenceEncoder("cls+mean", False, 512)], ids=str
)
def test_what_is_saved_is_loaded(encoder, tmp_path):
    encoder.save(tmp_path, 24)
    assert load_sentence_encoder(tmp_path) == encoder


@pytest.fixture(scope="module")
def base(tiny_base, tmp_path_factory) -> Path:
    """The tiny base as a sentence encoder."""
    folder = tmp_path_factory.mktemp("base") / "encoder"
    shutil.copytree(tiny_base, folder)
    DECLARED.save(folder, 24)
    return folder


def test_adapted_and_merged_checkpoints_stay_sentence_encoders(base, small_rows, tmp_path):
    adapted, merged = tmp_path / "adapted", tmp_path / "merged"
    config = replace(RUN, base=str(base), steps=2, exports=1)
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", adapted, config)
    assert load_sentence_encoder(adapted) == DECLARED
    assert load_sentence_encoder(adapted / "checkpoints" / "step-1") == DECLARED
    notes = load_manifest(adapted).counts["notes"]
    assert "a sentence encoder as its base is: pooling mean, vectors of length 1" in notes
    merge_checkpoints(base, adapted, merged, MergeConfig(share=0.5))
    assert load_sentence_encoder(merged) == DECLARED


def test_modules_that_cannot_be_carried_over_are_said(tiny_base, small_rows, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    declare(base, {"pooling_mode": "mean"}, "Dense")
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "out", replace(RUN, base=str(base)))
    assert not (tmp_path / "out" / "modules.json").exists()
    [note] = [note for note in load_manifest(tmp_path / "out").counts["notes"] if "not carried over" in note]
    assert "Transformer, Pooling, Dense" in note
