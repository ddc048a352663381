"""Encoders as sentence-transformers folders: the same vectors there, and what cannot be written is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from finetune.config import ExportConfig
from finetune.deploy.bundle import save_bundle
from finetune.embed import embed
from finetune.export.export import export
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.model.sentence_encoder import SentenceEncoder, load_sentence_encoder
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.finetune.deploy.random_classifiers import THRESHOLDS_L, checkpoint_of, classifier_of
from tests.finetune.questions import LABELS, texts_and_labels

TEXTS = ["sort a table in mysql", "numpy rows", "", "connect from node.js to mysql and print the rows " * 4, "x"]
SENTENCES = ExportConfig(format="sentence-transformers")


def test_checkpoint_is_written_with_the_pooling_that_is_named_or_the_mean(tiny_base, tmp_path):
    export(tiny_base, tmp_path / "mean", SENTENCES)
    assert load_sentence_encoder(tmp_path / "mean") == SentenceEncoder("mean", False, 20)
    export(tiny_base, tmp_path / "cls", replace(SENTENCES, pooling="cls", normalize=True))
    assert load_sentence_encoder(tmp_path / "cls") == SentenceEncoder("cls", True, 20)
    np.testing.assert_allclose(
        embed(TEXTS, tmp_path / "cls"), embed(TEXTS, tiny_base, "cls", normalize=True), atol=1e-6
    )
    assert not load_checkpoint(tmp_path / "cls").has_mlm_head
    assert load_manifest(tmp_path / "cls").counts["pooling"] == "cls"
    card = (tmp_path / "cls" / "README.md").read_text("utf-8")
    assert "pooling cls, vectors of length 1; 20 tokens per text at most" in card


def test_declaration_and_its_prompts_are_kept(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "base")
    declared = SentenceEncoder("mean", True, 12, {"prompts": {"query": "q: "}})
    declared.save(tmp_path / "base", 24)
    export(tmp_path / "base", tmp_path / "out", SENTENCES)
    assert load_sentence_encoder(tmp_path / "out") == declared


def test_classifier_is_written_with_its_fine_tuned_encoder_and_pooling(mysql_model, tmp_path):
    export(mysql_model, tmp_path / "out", SENTENCES)
    assert load_sentence_encoder(tmp_path / "out") == SentenceEncoder("cls", False, 12)
    np.testing.assert_allclose(embed(TEXTS, tmp_path / "out"), embed(TEXTS, mysql_model), atol=1e-6)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["BertModel"]


def test_classifier_that_truncates_sections_is_refused(small_rows, recipe, tmp_path):
    ours = classifier_of("bert", False, small_rows / "tokenizer", replace(recipe, title_tokens=3))
    save_bundle(ours, small_rows / "tokenizer", LABELS, THRESHOLDS_L, tmp_path / "model")
    with pytest.raises(StackbertError, match="truncates title, body and code of a text separately"):
        export(tmp_path / "model", tmp_path / "out", SENTENCES)
    assert not (tmp_path / "out").exists()


def test_pooling_is_not_an_option_of_onnx():
    with pytest.raises(StackbertError, match="those of format sentence-transformers"):
        ExportConfig(pooling="mean")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("family", "pooling", "normalize"),
    [
        ("bert", "mean", True),
        ("distilbert", "cls", False),
        ("roberta", "cls+mean", False),
        ("camembert", "mean", False),
    ],
)
@pytest.mark.filterwarnings("ignore")  # deprecations within PyTorch and sentence-transformers
def test_sentence_transformers_gives_the_same_vectors(family, pooling, normalize, small_rows, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    save_checkpoint(checkpoint_of(family, small_rows / "tokenizer"), small_rows / "tokenizer", base)
    export(base, out, replace(SENTENCES, pooling=pooling, normalize=normalize))
    model = sentence_transformers.SentenceTransformer(str(out), device="cpu", local_files_only=True)
    expected = embed(TEXTS, base, pooling, normalize)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(model.encode(TEXTS), expected, atol=1e-4)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # deprecations within PyTorch and sentence-transformers
def test_adapted_checkpoint_is_opened_as_it_is(tiny_base, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    shutil.copytree(tiny_base, tmp_path / "adapted")
    SentenceEncoder("mean", True, 12).save(tmp_path / "adapted", 24)  # as 'pretrain run' does
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "adapted"), device="cpu", local_files_only=True)
    assert model.max_seq_length == 12
    np.testing.assert_allclose(model.encode(TEXTS), embed(TEXTS, tmp_path / "adapted"), atol=1e-4)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")  # deprecations within PyTorch, sentence-transformers and SetFit
def test_setfit_trains_on_the_folder(tiny_base, tmp_path):
    setfit, datasets = pytest.importorskip("setfit"), pytest.importorskip("datasets")
    export(tiny_base, tmp_path / "encoder", SENTENCES)
    model = setfit.SetFitModel.from_pretrained(
        str(tmp_path / "encoder"), labels=list(LABELS), multi_target_strategy="one-vs-rest", device="cpu"
    )
    texts, names = texts_and_labels(24, 0)
    data = datasets.Dataset.from_dict({"text": texts, "label": [[name in own for name in LABELS] for own in names]})
    settings = setfit.TrainingArguments(
        output_dir=str(tmp_path / "run"),
        batch_size=8,
        max_steps=6,
        body_learning_rate=1e-3,
        save_strategy="no",
        report_to="none",
    )
    before = model.encode(texts)
    np.testing.assert_allclose(before, embed(texts, tiny_base), atol=1e-4)
    setfit.Trainer(model=model, args=settings, train_dataset=data).train()
    assert np.abs(model.encode(texts) - before).max() > 1e-3, "the encoder was trained"
    right = np.asarray(model.predict(texts)).astype(bool) == data["label"]
    assert right.mean() > 0.7, "no label at all is right in 0.62"
