"""Tag prediction: its losses, its runs, and that a comparison refuses what was taught."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from corpora.post import read_posts
from finetune.config import CompareConfig
from finetune.trials.task import check_not_taught, load_task
from pretrain.config import MergeConfig
from pretrain.measure.curves import read_curve
from pretrain.merge import merge_checkpoints
from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.taught import KEYS_FILE, TAGS_FILE, load_taught
from pretrain.objectives.tag_prediction import TagPrediction, TargetBatch, collate_tags
from pretrain.randomness import stream
from pretrain.run import run_pretraining
from pretrain.train.step import accumulate_gradients
from stackbert.core.artifact import load_manifest
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
from tests.pretrain.tiny import tiny_checkpoint
from tests.tokenizer.tagged import LABELS, tagged_set
from tokenizer.encoding.packed_rows import RowTargets

IDS = [[2, 9, 11, 3, 2, 12, 3, 0], [2, 8, 8, 8, 7, 3, 0, 0]]
SEGMENTS = [[1, 1, 1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1, 0, 0]]
TEXTS, TARGETS = [[1, 1, 2], [1, 0, 0]], [[0, 3, 2], [1, 0, 0]]
NAMES = ("mysql", "numpy", "node.js", "c++")
TAGGED = {"objective": "tags", "learning_rate": 2e-3, "head_learning_rate": 2e-2}


def row_targets() -> RowTargets:
    pairs = np.array([[1, 0], [1, 3], [2, 2], [1, 1]], np.uint32)
    return RowTargets(NAMES, np.array([0, 3, 4]), pairs, max_texts=2, max_pairs=3)


def batch() -> TargetBatch:
    return collate_tags(*map(tf.constant, (IDS, SEGMENTS, TEXTS, TARGETS)), stream(0, "any"))


def objective(pooling: str = "mean") -> tuple[Encoder, TagPrediction]:
    """An encoder, and tag prediction with a head of random weights."""
    checkpoint = tiny_checkpoint("bert")
    encoder = Encoder(checkpoint.architecture, checkpoint.weights)
    found = TagPrediction(encoder, row_targets(), pooling)
    generator = np.random.RandomState(5)
    for variable in found.weights.values():
        variable.assign(generator.normal(0, 0.5, variable.shape))
    return encoder, found


def test_each_tag_of_a_text_has_an_equal_share():
    np.testing.assert_allclose(batch().weights_BM, [[0.5, 0.5, 1], [1, 0, 0]])
    np.testing.assert_array_equal(row_targets().load(np.array([0, 1])), [TEXTS, TARGETS])


@pytest.mark.parametrize("pooling", ["mean", "cls", "cls+mean"])
def test_loss_is_the_cross_entropy_of_the_texts_tags(pooling):
    encoder, tags = objective(pooling)
    losses = tags.losses(batch())
    hidden = encoder.hidden(tf.constant(IDS), tf.constant(SEGMENTS)).numpy()
    kernel, bias = (variable.numpy() for variable in tags.weights.values())
    expected, correct = 0.0, 0
    for row, (begin, end), own in [(0, (0, 4), [0, 3]), (0, (4, 7), [2]), (1, (0, 6), [1])]:
        states = hidden[row, begin:end]
        vectors = {"cls": states[0], "mean": states.mean(0)}
        logits = np.concatenate([vectors[name] for name in pooling.split("+")]) @ kernel + bias
        log_probabilities = logits - np.log(np.exp(logits).sum())
        expected -= log_probabilities[own].mean()
        correct += int(logits.argmax()) in own
    np.testing.assert_allclose(losses.total, expected, rtol=1e-5)
    np.testing.assert_allclose(losses.reported_K, [expected, correct], rtol=1e-5)
    assert float(losses.count) == 3


def test_a_head_begins_with_the_frequencies_of_the_tags():
    checkpoint = tiny_checkpoint("bert")
    tags = TagPrediction(Encoder(checkpoint.architecture, checkpoint.weights), row_targets(), "mean")
    np.testing.assert_allclose(np.exp(tags.weights["tags/bias"]), [0.25] * 4, rtol=1e-6)
    np.testing.assert_allclose(tags.losses(batch()).total, 3 * np.log(4), rtol=1e-5)


def test_everything_but_the_mlm_head_has_a_gradient_and_micro_batches_add_up():
    encoder, tags = objective()
    whole, cut = (gradients_of(encoder, tags, batch(), rows) for rows in (0, 1))
    assert_trained(encoder, whole, but="mlm/")
    assert relative_difference(cut, whole) < 1e-5


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_loss_and_gradients_equal_pytorch():
    import torch

    encoder, tags = objective()
    hidden = encoder.hidden(tf.constant(IDS), tf.constant(SEGMENTS)).numpy()
    variables = {"hidden": hidden, **{name: each.numpy() for name, each in tags.weights.items()}}
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in variables.items()}
    means = torch.stack(
        [tensors["hidden"][0, :4].mean(0), tensors["hidden"][0, 4:7].mean(0), tensors["hidden"][1, :6].mean(0)]
    )
    shares = torch.tensor([[0.5, 0, 0, 0.5], [0, 0, 1, 0], [0, 1, 0, 0]])
    logits = means @ tensors["tags/kernel"] + tensors["tags/bias"]
    loss = torch.nn.functional.cross_entropy(logits, shares, reduction="sum")
    loss.backward()
    gradients, sums = accumulate_gradients(tags, batch(), list(tags.weights.values()), 0)
    np.testing.assert_allclose(sums[0], loss.item(), atol=1e-4)
    for name, gradient in zip(tags.weights, gradients, strict=True):
        np.testing.assert_allclose(gradient, tensors[name].grad.numpy(), atol=1e-4)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return tagged_set(tmp_path_factory.mktemp("tagged"))


@pytest.fixture(scope="module")
def runs(labelled, small_rows, headless_base, tmp_path_factory) -> ObjectiveRuns:
    folder = tmp_path_factory.mktemp("made")
    made = encoded(labelled, small_rows / "tokenizer", folder, targets="tags", min_tag_posts=3)
    return straight_run(made, headless_base, TAGGED, folder)


@pytest.fixture(scope="module")
def trained(runs) -> Path:
    return runs.straight


def test_a_run_learns_the_tags(trained):
    first, *_, last = history(trained)
    assert last["loss"] < first["loss"] - 0.1
    assert last["accuracy"] > first["accuracy"] + 0.2
    assert "bits_per_byte" not in first
    with pytest.raises(StackbertError, match="its objective masks no tokens"):
        read_curve(trained)
    card = (trained / "README.md").read_text()
    assert "prediction of the texts' tags" in card and "pipeline_tag: feature-extraction" in card


def test_the_encoder_is_exported_and_no_head_that_was_not_trained(trained, headless_base):
    before, after = load_checkpoint(headless_base), load_checkpoint(trained)
    assert not after.has_mlm_head
    assert all(np.any(after.weights[name] != array) for name, array in before.weights.items() if "mlm" not in name)


def test_resumed_runs_equal_the_straight_one(runs, tmp_path, monkeypatch):
    runs.assert_resumable(tmp_path, monkeypatch, runs.straight)


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_devices_share_a_batch(devices, runs, tmp_path):
    runs.assert_shared(tmp_path, devices)


def test_two_processes_share_a_run(runs, tmp_path):
    runs.assert_shared_by_processes(tmp_path)


def test_rows_without_tags_are_refused(small_rows, runs, tmp_path):
    with pytest.raises(StackbertError, match="objective tags: the rows have no tags to predict; encode them again"):
        replace(runs, made=small_rows).run(tmp_path / "run")


def test_masked_tokens_of_rows_with_tags_are_predicted_as_without(runs, tmp_path):
    run_pretraining(runs.made / "rows", runs.made / "tokenizer", tmp_path / "run", config(steps=2))
    assert "bits_per_byte" in history(tmp_path / "run")[0]
    assert not (tmp_path / "run" / TAGS_FILE).exists()


def test_what_was_taught_goes_with_the_checkpoint(trained, runs, tmp_path):
    taught = load_taught(trained)
    assert "mysql" in taught.tags and len(taught.keys_N) > 100
    run_pretraining(runs.made / "rows", runs.made / "tokenizer", tmp_path / "later", config(base=str(trained), steps=2))
    merge_checkpoints(trained, tmp_path / "later", tmp_path / "merged", MergeConfig(0.5))
    for folder in (tmp_path / "later", tmp_path / "merged"):
        found = load_taught(folder)
        assert found.tags == taught.tags
        np.testing.assert_array_equal(found.keys_N, taught.keys_N)
    counts = load_manifest(tmp_path / "later").counts
    assert counts["total_tokens"] == counts["tokens"] + load_manifest(trained).counts["tokens"]
    assert load_checkpoint(tmp_path / "later").has_mlm_head


def test_a_damaged_record_is_refused(trained, tmp_path):
    (tmp_path / TAGS_FILE).write_text('["mysql"]')
    with pytest.raises(StackbertError, match=rf"record of taught tags and texts .*{KEYS_FILE}.* cannot be read"):
        load_taught(tmp_path)


def test_the_labels_and_the_test_posts_of_the_set_were_not_taught(trained, labelled):
    task = load_task(labelled, CompareConfig())
    assert task.labels == LABELS
    check_not_taught("tags", trained, task)


def test_a_comparison_refuses_a_checkpoint_that_was_taught_its_labels(trained, labelled):
    task = load_task(labelled, CompareConfig())
    with pytest.raises(StackbertError, match="tags: was taught MySQL, numpy, which are labels here; adapt it with"):
        check_not_taught("tags", trained, replace(task, labels=("MySQL", "numpy", "java")))


def test_a_comparison_refuses_a_checkpoint_that_was_taught_its_test_posts(trained, labelled):
    task = load_task(labelled, CompareConfig())
    texts = [post.whole_text for post in read_posts(labelled / "pretraining") if {*post.tags} & {"mysql"}][:5]
    test = replace(task.splits["test"], texts=[text.upper() for text in texts])
    with pytest.raises(StackbertError, match="words of 5 of the 5 test texts; adapt it with"):
        check_not_taught("tags", trained, replace(task, splits=task.splits | {"test": test}))


def test_distillation_goes_with_masked_tokens_only():
    with pytest.raises(StackbertError, match="distill_weight 10: goes with objective masked_lm only"):
        config(base="minilm", objective="tags", distill_weight=10)
