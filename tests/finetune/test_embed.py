"""Vectors of texts: those of each encoder and pooling, whatever they are packed with."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import stackbert
from finetune import embed as module
from finetune.deploy.bundle import load_bundle
from finetune.embed import embed
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.sentence_encoder import SentenceEncoder
from stackbert.core.errors import StackbertError
from tests.finetune.deploy.random_classifiers import checkpoint_of
from tests.finetune.questions import texts_and_labels
from tokenizer.encoding.reader import load_reader

TEXTS = ["sort a table in mysql", "numpy rows", "", "connect from node.js to mysql and print the rows " * 4, "x"]


def hidden_states(folder: Path, max_length: int = 20) -> list[np.ndarray]:
    """The last hidden states of each text, encoded alone."""
    checkpoint, reader = load_checkpoint(folder), load_reader(folder)
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    found = []
    for ids in reader.ids_for_classifier(TEXTS, max_length):
        ids_BT = tf.constant([ids])
        found.append(encoder.hidden(ids_BT, tf.ones_like(ids_BT))[0].numpy())
    return found


@pytest.fixture
def encoder(tiny_base, tmp_path) -> Path:
    """A checkpoint that declares the mean of at most 8 tokens, at length 1."""
    shutil.copytree(tiny_base, tmp_path / "encoder")
    SentenceEncoder("mean", True, 8).save(tmp_path / "encoder", 24)
    return tmp_path / "encoder"


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_vectors_are_those_of_each_text_alone(family, small_rows, tmp_path):
    save_checkpoint(checkpoint_of(family, small_rows / "tokenizer"), small_rows / "tokenizer", tmp_path)
    length = load_checkpoint(tmp_path).architecture.max_length
    states = hidden_states(tmp_path, length)
    means_NH, firsts_NH = np.stack([each.mean(0) for each in states]), np.stack([each[0] for each in states])
    expected = {"mean": means_NH, "cls": firsts_NH, "cls+mean": np.concatenate([firsts_NH, means_NH], 1)}
    for pooling, vectors_NP in expected.items():
        np.testing.assert_allclose(embed(TEXTS, tmp_path, pooling), vectors_NP, atol=1e-5)
    np.testing.assert_array_equal(embed(TEXTS, str(tmp_path)), embed(TEXTS, tmp_path, "mean"))


def test_declared_pooling_length_and_normalisation_are_the_defaults(encoder):
    means_NH = np.stack([each.mean(0) for each in hidden_states(encoder, 8)])
    lengths_N1 = np.linalg.norm(means_NH, axis=1, keepdims=True)
    np.testing.assert_allclose(embed(TEXTS, encoder), means_NH / lengths_N1, atol=1e-5)
    np.testing.assert_allclose(embed(TEXTS, encoder, normalize=False), means_NH, atol=1e-5)
    firsts_NH = np.stack([each[0] for each in hidden_states(encoder, 8)])
    np.testing.assert_allclose(embed(TEXTS, encoder, "cls", normalize=False), firsts_NH, atol=1e-5)


def test_classifier_gives_what_its_head_reads(mysql_model):
    classifier = load_bundle(mysql_model).classifier
    expected = classifier.features(classifier.sequences(TEXTS))
    np.testing.assert_allclose(embed(TEXTS, mysql_model), expected, atol=1e-6)
    lengths_N = np.linalg.norm(embed(TEXTS, mysql_model, "mean", normalize=True), axis=1)
    np.testing.assert_allclose(lengths_N, 1, atol=1e-6)


def test_many_texts_and_few_give_the_same_vectors(encoder):
    many = TEXTS * 40  # more than a batch of rows
    np.testing.assert_allclose(embed(many, encoder), np.tile(embed(TEXTS, encoder), (40, 1)), atol=1e-5)
    assert embed([], encoder).shape == (0, 24)
    np.testing.assert_array_equal(embed(iter(TEXTS), encoder), embed(np.array(TEXTS), encoder))


def test_encoder_is_loaded_once_and_again_when_its_files_change(encoder, monkeypatch):
    loaded = []
    monkeypatch.setattr(module, "load_checkpoint", lambda folder: loaded.append(folder) or load_checkpoint(folder))
    before = embed(TEXTS, encoder)
    embed(TEXTS[:1], encoder)
    assert len(loaded) == 1
    pooling = encoder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("cls_token", "cls_token_").replace("mean_tokens", "cls_token"))
    assert np.abs(embed(TEXTS, encoder) - before).max() > 0.01
    (encoder / "modules.json").unlink()
    after = embed(TEXTS, encoder)
    assert len(loaded) == 3
    assert np.abs(np.linalg.norm(after, axis=1) - 1).max() > 0.1 > np.abs(np.linalg.norm(before, axis=1) - 1).max()


@pytest.mark.parametrize(
    ("texts", "pooling", "said"),
    [
        ("one text", None, "texts: is a str; give a list of texts"),
        (["a", None], None, r"texts\[1\]: is a NoneType, not a str"),
        ([["a"]], None, r"texts\[0\]: is a list"),
        (["a"], "max", "pooling 'max': must be one of mean, cls, cls"),
    ],
)
def test_what_is_wrong_is_said(texts, pooling, said, encoder):
    with pytest.raises(StackbertError, match=said):
        embed(texts, encoder, pooling)


def test_unreadable_modules_need_a_pooling(encoder):
    (encoder / "modules.json").write_text("[]")
    with pytest.raises(StackbertError, match=r"cannot be used.*Name the pooling"):
        embed(["a"], encoder)
    assert embed(["a"], encoder, "mean").shape == (1, 24)


def test_scikit_learn_pipeline_takes_the_vectors(encoder):
    steps = FunctionTransformer(embed, kw_args={"checkpoint": str(encoder)}), LogisticRegression(C=100, max_iter=1000)
    texts, labels = texts_and_labels(60, 0)
    names = [own[0] for own in labels]
    model = clone(make_pipeline(*steps))
    scores = cross_val_score(model, texts, names, cv=2)
    assert scores.mean() > 0.5, "three labels, about equally frequent"
    expected = LogisticRegression(C=100, max_iter=1000).fit(embed(texts, encoder), names).predict(embed(TEXTS, encoder))
    assert model.fit(texts, names).predict(TEXTS).tolist() == expected.tolist()


def test_embed_is_the_packages():
    assert stackbert.embed is embed
