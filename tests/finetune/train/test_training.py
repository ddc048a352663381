"""Two-phase fine-tuning of a tiny checkpoint."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplit, EncodedSplits, EpochRecord, PhaseResult, best_epoch
from finetune.config import FinetuneConfig
from finetune.metrics.metrics import evaluate
from finetune.train.head_training import HeadTraining, standardization
from finetune.train.step import FinetuneStep
from finetune.train.whole_training import COMPILING_STEPS, WholeTraining, _Course
from pretrain.model.checkpoint import load_checkpoint
from pretrain.train.replicas import Replicas
from pretrain.train.state import RunState
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS, encode_split, load_splits
from tokenizer.encoding.reader import load_reader


@pytest.fixture(scope="module")
def classifier(tiny_base, recipe) -> Classifier:
    return Classifier(
        load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), replace(recipe, epochs=5, learning_rate=5e-3)
    )


@pytest.fixture(scope="module")
def splits(classifier, labelled) -> EncodedSplits:
    return EncodedSplits(*(encode_split(classifier, split) for split in load_splits(labelled).values()))


@pytest.fixture(scope="module")
def whole(classifier) -> WholeTraining:
    return WholeTraining(classifier)


@pytest.fixture(autouse=True)
def start_anew(classifier):
    classifier.encoder.assign(classifier.checkpoint.weights)


def train_head(classifier: Classifier, splits: EncodedSplits, seed: int) -> PhaseResult:
    return HeadTraining(classifier).run(splits, seed)


def changed(classifier: Classifier) -> set[str]:
    """Names of the encoder's weights that differ from the checkpoint's."""
    now, before = classifier.encoder.numpy_weights(), classifier.checkpoint.weights
    return {name for name in now if not np.array_equal(now[name], before[name])}


def separable(split: EncodedSplit, seed: int) -> EncodedSplit:
    """The split with linearly separable features."""
    noise = np.random.default_rng(seed).normal(0, 0.2, split.features_NP.shape).astype(np.float32)
    noise[:, : len(LABELS)] += 2.0 * split.targets_NL
    return replace(split, features_NP=noise)


def test_head_learns_and_leaves_the_encoder_alone(classifier, splits):
    splits = EncodedSplits(*(separable(split, seed) for seed, split in enumerate(splits)))
    phase = train_head(classifier, splits, seed=0)
    assert changed(classifier) == set()
    losses = [record.dev_loss for record in phase.epochs]
    assert min(losses) < losses[0]
    assert evaluate(splits[2].targets_NL, phase.test_NL, phase.thresholds_L)["weighted_f1"] > 0.9


@pytest.mark.parametrize("hidden_layer", [False, True])
def test_the_length_and_place_of_vectors_do_not_matter_to_the_head(hidden_layer, tiny_base, recipe, splits):
    config = replace(recipe, hidden_layer=hidden_layer)
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config)
    as_they_are = train_head(classifier, splits, seed=0)
    others = EncodedSplits(*(replace(split, features_NP=20 * split.features_NP - 3) for split in splits))
    moved = train_head(classifier, others, seed=0)
    np.testing.assert_allclose(moved.test_NL, as_they_are.test_NL, atol=2e-3)
    np.testing.assert_allclose(classifier.head.center, others.train.features_NP.mean(0), rtol=1e-4)


def test_the_head_starts_from_the_shares_of_the_labels(classifier, splits, monkeypatch):
    monkeypatch.setattr(classifier, "config", replace(classifier.config, head_epochs=1, head_learning_rate=1e-9))
    phase = train_head(classifier, splits, seed=0)
    shares_L = (splits.train.targets_NL.sum(0) + 1) / (len(splits.train.targets_NL) + 2)
    np.testing.assert_allclose(phase.test_NL, np.broadcast_to(shares_L, phase.test_NL.shape), atol=1e-4)


def test_texts_that_are_all_alike_are_no_division_by_zero():
    mean_P, scale_P = standardization(np.full((5, 3), 2.0, np.float32))
    np.testing.assert_array_equal((mean_P, scale_P), [[2, 2, 2], [1, 1, 1]])


def test_whole_model_goes_lower_than_the_head_and_moves_every_weight_that_it_reads(classifier, splits, whole):
    head = train_head(classifier, splits, seed=0)
    phase = whole.run(splits, 0)
    head_loss, whole_loss = (min(record.dev_loss for record in part.epochs) for part in (head, phase))
    assert whole_loss < 0.5 * head_loss
    assert evaluate(splits[2].targets_NL, phase.test_NL, phase.thresholds_L)["weighted_f1"] > 0.95
    names = {name for name in classifier.encoder.weights if not name.startswith("mlm/")}
    assert changed(classifier) == names


def test_weights_of_the_best_epoch_are_restored(classifier, splits, whole):
    train_head(classifier, splits, seed=1)
    phase = whole.run(splits, 1)
    scores = np.clip(classifier.probabilities(splits[1].sequences).astype(float), 1e-7, 1 - 1e-7)
    loss = -np.mean(np.where(splits[1].targets_NL > 0, np.log(scores), np.log1p(-scores)))
    assert loss == pytest.approx(min(record.dev_loss for record in phase.epochs), abs=1e-6)
    np.testing.assert_allclose(phase.dev_NL, scores, atol=1e-6)


def test_same_seed_gives_the_same_result_and_another_does_not(classifier, splits, whole):
    results = []
    for seed in (3, 3, 4):
        classifier.encoder.assign(classifier.checkpoint.weights)
        head = train_head(classifier, splits, seed=seed)
        results.append((head.test_NL, whole.run(splits, seed).test_NL))
    for first, second, third in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, third)


def test_shuffled_labels_give_chance(classifier, splits):
    generator = np.random.default_rng(0)
    train, dev = (replace(split, targets_NL=generator.permutation(split.targets_NL)) for split in splits[:2])
    shuffled = EncodedSplits(train, dev, splits.test)
    phase = train_head(classifier, shuffled, seed=0)
    targets = splits[2].targets_NL
    all_labels = evaluate(targets, np.ones(targets.shape, np.float32), 0.5)["weighted_f1"]
    assert evaluate(targets, phase.test_NL, phase.thresholds_L)["weighted_f1"] < all_labels + 0.08
    phase = WholeTraining(classifier).run(shuffled, 0)
    assert evaluate(targets, phase.test_NL, phase.thresholds_L)["weighted_f1"] < all_labels + 0.08


def test_features_are_those_of_each_text_alone_and_in_order(classifier, splits):
    for number in (0, 5, 17):
        alone = classifier.features([splits[0].sequences[number]])[0]
        np.testing.assert_allclose(splits[0].features_NP[number], alone, atol=1e-5)


def test_features_are_the_same_in_batches_of_any_sizes(classifier, splits):
    for sizes in ((4, 1), (2,)):
        found = classifier.features_in_sizes(splits[0].sequences, sizes)
        np.testing.assert_allclose(found, splits[0].features_NP, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean", "cls+mean"])
def test_pooling_reads_the_states_of_the_texts_own_tokens(pooling, classifier, splits, recipe):
    pooled = Classifier(classifier.checkpoint, classifier.reader, len(LABELS), replace(recipe, pooling=pooling))
    sequence = splits[0].sequences[0]
    hidden_TH = pooled.encoder.hidden(tf.constant([sequence]), tf.ones((1, len(sequence)), tf.int32)).numpy()[0]
    parts = {"cls": hidden_TH[0], "mean": hidden_TH.mean(0)}
    expected = np.concatenate([parts[name] for name in pooling.split("+")])
    np.testing.assert_allclose(pooled.features(splits[0].sequences)[0], expected, atol=1e-5)


@pytest.mark.parametrize(("best_by", "best"), [("loss", 0), ("weighted_f1", -1)])
def test_best_epoch_is_chosen_by_the_recipes_criterion(best_by, best, classifier, splits, whole, monkeypatch):
    seen = []

    def record(epoch, train_loss, config, weights_L, targets_NL, dev_NL):
        seen.append(dev_NL)
        return EpochRecord(epoch, train_loss, dev_loss=epoch, dev_weighted_f1=epoch / 10, dev_val_acc=0.0)

    monkeypatch.setattr("finetune.train.whole_training.epoch_record", record)
    monkeypatch.setattr(classifier, "config", replace(classifier.config, best_by=best_by, patience=9))
    classifier.head.reset(0)
    phase = whole.run(splits, 0)
    assert len(seen) == 5
    assert not np.allclose(seen[0], seen[-1])
    np.testing.assert_allclose(phase.dev_NL, seen[best], atol=1e-6)
    assert best_epoch(phase.epochs, best_by) == phase.epochs[best]


def test_patience_stops_the_whole_model_early(tiny_base, recipe, splits):
    config = replace(recipe, epochs=9, patience=1, learning_rate=1e-9, dropout=0.0, head_epochs=1)
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config)
    worse = splits._replace(dev=replace(splits.dev, targets_NL=1 - splits.dev.targets_NL))
    train_head(classifier, worse, seed=0)
    phase = WholeTraining(classifier)
    phase._step.optimizer.apply = lambda gradients, rate, divisor: None  # a model that does not change never improves
    assert len(phase.run(worse, 0).epochs) == 2


def test_progress_of_steps_and_texts_is_shown(classifier, splits, whole, capsys, monkeypatch):
    monkeypatch.setattr("stackbert.core.progress.LINE_SECONDS", 0.0)
    train_head(classifier, splits, seed=0)
    whole.run(splits, 0)
    lines = capsys.readouterr().err.splitlines()
    steps = math.ceil(len(splits[0].sequences) / classifier.config.batch_size)
    (last,) = [line for line in lines if line.startswith(f"  epoch 1/5: {steps} of {steps} steps, loss ")]
    assert last.endswith(", 0 s left")
    dev = len(splits[1].sequences)
    assert f"  encoding: {dev} of {dev} texts, 0 s left" in lines


def test_time_left_does_not_include_compilation(tiny_base, recipe, splits, capsys, monkeypatch):
    monkeypatch.setattr("stackbert.core.progress.LINE_SECONDS", 0.0)
    config = replace(recipe, epochs=1)
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config)
    WholeTraining(classifier).run(splits, 0)
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("  epoch 1/1: ") and "steps" in line
    ]
    assert [" left" in line for line in lines] == [False] * COMPILING_STEPS + [True] * (len(lines) - COMPILING_STEPS)


def test_batches_of_many_sizes_do_not_retrace_the_step(tiny_base, recipe, monkeypatch, retracing_warnings):
    monkeypatch.setattr("finetune.train.batches.rounded_rows", lambda count: count)
    training = training_without_steps(tiny_base, recipe, monkeypatch)
    run_epoch(training)
    assert len(training._execute) >= 4
    assert retracing_warnings() == []


def test_accelerators_compile_one_shape(tiny_base, recipe, monkeypatch):
    monkeypatch.setattr(Replicas, "accelerated", True)
    training = training_without_steps(tiny_base, recipe, monkeypatch)
    run_epoch(training)
    assert len(training._execute) == 1


def training_without_steps(tiny_base: Path, recipe: FinetuneConfig, monkeypatch: pytest.MonkeyPatch) -> WholeTraining:
    """A training whose steps change nothing and give the number of texts as their loss."""
    monkeypatch.setattr(FinetuneStep, "update", lambda _, batch, *__: tf.stack([tf.reduce_sum(batch.weights_N), 0.0]))
    config = replace(recipe, max_length=20, batch_size=16)
    return WholeTraining(Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config))


def run_epoch(training: WholeTraining) -> None:
    """Train an epoch on 400 texts of two lengths."""
    lengths = np.random.default_rng(0).choice((3, 12), 400)
    texts = EncodedSplit([[2] * n for n in lengths], lengths.tolist(), np.ones((400, 3), np.uint8), np.zeros((400, 24)))
    course, batches = _Course(), training._batches(texts, 0, 1, training._num_rows(texts, 0))
    training._run_epoch(batches, 1, np.ones(3, np.float32), course, RunState(None, 1e9))
    assert course.losses == [16] * len(batches)


def test_loss_that_is_not_a_number_is_an_error(classifier, splits, whole):
    broken = {name: np.full_like(weight, np.nan) for name, weight in classifier.checkpoint.weights.items()}
    classifier.encoder.assign(broken)
    with pytest.raises(StackbertError, match="epoch 1, step 1: the loss is nan; lower the recipe's learning_rate"):
        whole.run(splits, 0)


def test_lower_layers_move_less_with_layer_decay(tiny_base, recipe, splits):
    config = replace(recipe, layer_decay=0.1, epochs=1, dropout=0.0, weight_decay=0.0)
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config)
    rates = {variable.name.partition(":")[0]: rate for variable, rate in classifier.encoder_rates(0.1)}
    assert rates["layer_1/attention/qkv/kernel"] == pytest.approx(0.1)
    assert rates["layer_0/attention/qkv/kernel"] == pytest.approx(0.01)
    assert rates["embeddings/word"] == pytest.approx(0.001)
    classifier.head.reset(0)
    WholeTraining(classifier).run(splits, 0)
    now, before = classifier.encoder.numpy_weights(), classifier.checkpoint.weights
    moved = {
        layer: np.abs(now[name] - before[name]).mean()
        for layer in (0, 1)
        if (name := f"layer_{layer}/attention/norm/beta")
    }
    assert 0 < moved[0] < 0.3 * moved[1]


@pytest.mark.parametrize("loss", ["focal", "asymmetric"])
def test_other_losses_and_heads_learn_too(loss, tiny_base, recipe, splits):
    config = replace(
        recipe, loss=loss, balance=0.5, hidden_layer=True, pooling="cls+mean", thresholds="label", epochs=5
    )
    classifier = Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config)
    encoded = EncodedSplits(*(replace(split, features_NP=classifier.features(split.sequences)) for split in splits))
    train_head(classifier, encoded, seed=0)
    phase = WholeTraining(classifier).run(encoded, 0)
    assert evaluate(splits[2].targets_NL, phase.test_NL, phase.thresholds_L)["weighted_f1"] > 0.9
