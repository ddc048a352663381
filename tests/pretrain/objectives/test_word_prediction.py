"""Word prediction: the shares of words, its losses and gradients, its runs, and that a comparison refuses them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from corpora.post import read_posts
from finetune.config import CompareConfig
from finetune.trials.task import check_not_taught, load_task
from pretrain.measure.config import PretrainPlanConfig
from pretrain.measure.plan import plan_pretraining
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.taught import load_taught
from pretrain.objectives.tag_prediction import TargetBatch
from pretrain.objectives.word_prediction import WordCollator, WordPrediction, inverse_frequencies, log_shares
from pretrain.randomness import stream
from stackbert.core.errors import StackbertError
from tests.pretrain.objectives.objective_runs import (
    ObjectiveRuns,
    assert_trained,
    encoded,
    gradients_of,
    history,
    relative_difference,
    straight_run,
)
from tests.pretrain.runs import config
from tests.pretrain.tiny import VOCAB_SIZE, tiny_checkpoint
from tests.tokenizer.tagged import paired_set
from tokenizer.encoding.packed_rows import RowTargets

IDS = [[2, 9, 11, 3, 2, 12, 3, 0], [2, 8, 8, 8, 7, 3, 0, 0]]
SEGMENTS = [[1, 1, 1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1, 0, 0]]
BAGS = [[[20, 30, 40], [20]], [[30, 20]]]
"""By row and text."""
WORDS = {"objective": "words", "learning_rate": 5e-3}
TEXTS = [(0, slice(0, 4)), (0, slice(4, 7)), (1, slice(0, 6))]
"""Row and tokens of each text."""


def row_targets() -> RowTargets:
    pairs = [(text, word) for row in BAGS for text, bag in enumerate(row, 1) for word in bag]
    return RowTargets((), np.array([0, 4, 6]), np.array(pairs, np.uint32), max_texts=2, max_pairs=4, num_texts=3)


def batch() -> TargetBatch:
    targets = row_targets()
    arrays = (np.array(IDS), np.array(SEGMENTS), *targets.load(np.array([0, 1])))
    collator = WordCollator(inverse_frequencies(targets, VOCAB_SIZE))
    return collator(*(tf.constant(each, tf.int32) for each in arrays), stream(0, "any"))


def shares() -> np.ndarray:
    """Of each text's words, (3, V)."""
    values = {20: np.log(4 / 3), 30: np.log(4 / 2), 40: np.log(4 / 1)}
    found = np.zeros((3, VOCAB_SIZE), np.float32)
    for text, bag in enumerate([*BAGS[0], *BAGS[1]]):
        for word in bag:
            found[text, word] = values[word] / sum(values[each] for each in bag)
    return found


def objective(pooling: str = "mean") -> tuple[Encoder, WordPrediction]:
    checkpoint = tiny_checkpoint("bert")
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    bias = np.random.RandomState(5).normal(0, 0.5, VOCAB_SIZE).astype("f4")
    return encoder, WordPrediction(encoder, 2, pooling, bias)


def test_shares_of_words_go_with_their_inverse_document_frequencies():
    expected = shares()
    np.testing.assert_array_equal(batch().texts_BM, [[1, 1, 1, 2], [1, 1, 0, 0]])
    found = batch().weights_BM.numpy()
    np.testing.assert_allclose(found[0], [*expected[0, [20, 30, 40]], 1], rtol=1e-6)
    np.testing.assert_allclose(found[1], [*expected[2, [30, 20]], 0, 0], rtol=1e-6)
    assert np.all(inverse_frequencies(row_targets(), VOCAB_SIZE) > 0)


def test_the_bias_starts_at_the_shares_of_all_words():
    biases = np.exp(log_shares(row_targets(), VOCAB_SIZE))
    assert biases.sum() == pytest.approx(1)
    assert biases[30] / biases[40] == pytest.approx(3 * np.log(4 / 2) / (2 * np.log(4 / 1)), rel=1e-5)
    assert biases[40] / biases[7] == pytest.approx(2, rel=1e-5), "7 is in no bag"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_loss_is_the_cross_entropy_of_the_bodies_words(pooling):
    encoder, words = objective(pooling)
    hidden = encoder.hidden(tf.constant(IDS), tf.constant(SEGMENTS)).numpy()
    states = [hidden[row, text] for row, text in TEXTS]
    vectors = np.stack([each[0] if pooling == "cls" else each.mean(0) for each in states])
    logits = encoder.mlm_logits(tf.constant(vectors)).numpy() + words.weights["words/bias"].numpy()
    log_shares = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    correct = sum(shares()[text, best] > 0 for text, best in enumerate(logits.argmax(-1)))
    losses = words.losses(batch())
    np.testing.assert_allclose(losses.total, -(shares() * log_shares).sum(), rtol=1e-5)
    np.testing.assert_allclose(losses.reported_K, [losses.total, correct], rtol=1e-5)
    np.testing.assert_allclose(losses.count, 3, rtol=1e-6)


def test_a_word_of_a_text_that_is_most_probable_is_correct():
    words = objective()[1]
    words.weights["words/bias"].assign(tf.one_hot(30, VOCAB_SIZE) * 1e3)
    assert float(words.losses(batch()).reported_K[1]) == 2, "two of the three bodies have it"


def test_all_weights_have_gradients_and_micro_batches_add_up():
    encoder, words = objective()
    whole, cut = (gradients_of(encoder, words, batch(), rows) for rows in (0, 1))
    assert_trained(encoder, whole, but="mlm/bias")
    assert relative_difference(cut, whole) < 1e-5


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_loss_and_gradients_equal_pytorch(pooling, tmp_path):
    import torch
    from transformers import AutoModelForMaskedLM

    from pretrain.model.architecture import hugging_face_names
    from pretrain.model.checkpoint import save_checkpoint

    save_checkpoint(tiny_checkpoint("bert"), tmp_path, tmp_path)
    model = AutoModelForMaskedLM.from_pretrained(tmp_path)
    vectors = []
    for row, text in TEXTS:
        states = model.bert(input_ids=torch.tensor(IDS[row][text])[None]).last_hidden_state[0]
        vectors.append(states[0] if pooling == "cls" else states.mean(0))
    encoder, words = objective(pooling)
    with torch.no_grad():
        model.cls.predictions.bias.copy_(torch.tensor(words.weights["words/bias"].numpy()))
    logits = model.cls(torch.stack(vectors))
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(shares()), reduction="sum")
    loss.backward()
    found = gradients_of(encoder, words, batch())
    np.testing.assert_allclose(found["sums"][0], loss.item(), atol=1e-4)
    theirs = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    for name, keys in hugging_face_names(encoder.architecture).items():
        name = "words/bias" if name == "mlm/bias" else name
        expected = [theirs[key].T if name.endswith("/kernel") else theirs[key] for key in keys]
        np.testing.assert_allclose(found[name], np.concatenate(expected, -1), atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return paired_set(tmp_path_factory.mktemp("paired"))


@pytest.fixture(scope="module")
def runs(labelled, small_rows, headless_base, tmp_path_factory) -> ObjectiveRuns:
    folder = tmp_path_factory.mktemp("made")
    made = encoded(labelled, small_rows / "tokenizer", folder, targets="words", pair_tokens=16)
    return straight_run(made, headless_base, WORDS, folder)


def test_a_run_learns_the_words(runs):
    first, *_, last = history(runs.straight)
    assert last["loss"] < first["loss"] - 0.3
    assert "bits_per_byte" not in first
    card = (runs.straight / "README.md").read_text()
    assert "prediction of a body's words from its title's vector" in card and "nats per title" in card


def test_the_encoder_is_exported_and_no_mlm_head_that_never_saw_a_mask(runs, headless_base):
    before, after = load_checkpoint(headless_base), load_checkpoint(runs.straight)
    assert not after.has_mlm_head
    assert all(np.any(after.weights[name] != array) for name, array in before.weights.items() if "mlm" not in name)


def test_resumed_runs_equal_the_straight_one(runs, tmp_path, monkeypatch):
    runs.assert_resumable(tmp_path, monkeypatch, runs.straight)


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_devices_share_a_batch(devices, runs, tmp_path):
    runs.assert_shared(tmp_path, devices)


def test_a_run_is_planned(runs):
    measured = PretrainPlanConfig(seconds=0.1)
    plan = plan_pretraining(runs.made / "rows", runs.made / "tokenizer", runs.config(), measured)
    assert plan.steps == 24 and plan.estimates[0].hours > 0


def test_a_comparison_refuses_a_checkpoint_that_was_taught_its_test_posts(runs, labelled):
    assert load_taught(runs.straight).tags == ()
    task = load_task(labelled, CompareConfig())
    check_not_taught("words", runs.straight, task)
    posts = [post for post in read_posts(labelled / "pretraining") if post.text and post.kind == "question"][:3]
    test = replace(task.splits["test"], texts=[post.text for post in posts])
    with pytest.raises(StackbertError, match="words of 3 of the 3 test texts; adapt it with"):
        check_not_taught("words", runs.straight, replace(task, splits=task.splits | {"test": test}))


def test_rows_of_other_targets_are_refused(small_rows, labelled, runs, tmp_path):
    tagged = encoded(labelled, small_rows / "tokenizer", tmp_path, targets="tags", min_tag_posts=3)
    for made, objective_name, missing in (
        (small_rows, "words", "words"),
        (tagged, "words", "words"),
        (runs.made, "tags", "tags"),
    ):
        with pytest.raises(StackbertError, match=f"the rows have no {missing} to predict; encode them again"):
            replace(runs, made=made).run(tmp_path / "run", objective=objective_name)


def test_a_vector_that_the_mlm_head_cannot_read_is_refused():
    with pytest.raises(StackbertError, match=r"tag_pooling cls\+mean: objective words needs one vector"):
        config(objective="words", tag_pooling="cls+mean")
