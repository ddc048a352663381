"""Fine-tuning that is killed or stopped continues from its state with the same result."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplits, PhaseResult
from finetune.train.features import FeatureStore
from finetune.train.head_training import HeadTraining
from finetune.train.step import CompiledStep
from finetune.train.whole_training import WholeTraining
from pretrain.model.checkpoint import load_checkpoint
from pretrain.train.state import STOPPED_EXIT_CODE, RunState, Stopped
from tests.finetune.questions import LABELS, encode_split, load_splits
from tests.pretrain.runs import KilledError, killed_after
from tokenizer.encoding.reader import load_reader

SEED, STEPS = 3, 15  # steps of an epoch


@pytest.fixture(scope="module")
def classifier(tiny_base, recipe) -> Classifier:
    config = replace(recipe, epochs=4, patience=2, learning_rate=5e-3)
    return Classifier(load_checkpoint(tiny_base), load_reader(tiny_base), len(LABELS), config)


@pytest.fixture(scope="module")
def splits(classifier, labelled) -> EncodedSplits:
    return EncodedSplits(*(encode_split(classifier, split) for split in load_splits(labelled).values()))


@pytest.fixture(scope="module")
def train(classifier, splits):
    """A function that runs both phases, from a folder with a state if it has one."""
    head, whole = HeadTraining(classifier), WholeTraining(classifier)

    def run(folder: Path | None = None, save_seconds: float = 0.0) -> PhaseResult:
        classifier.encoder.assign(classifier.checkpoint.weights)
        head.run(splits, SEED)
        return whole.run(splits, SEED, RunState(folder and str(folder), save_seconds))

    return run


@pytest.fixture(scope="module")
def straight(train, classifier) -> tuple[PhaseResult, dict[str, np.ndarray]]:
    """The result of a run that nothing interrupts, and its weights."""
    return train(), classifier.encoder.numpy_weights() | classifier.head.numpy_weights()


def check_same(found: PhaseResult, classifier: Classifier, straight: tuple[PhaseResult, dict]) -> None:
    expected, weights = straight
    assert found.epochs == expected.epochs
    for name in ("dev_NL", "test_NL", "thresholds_L"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name, weight in (classifier.encoder.numpy_weights() | classifier.head.numpy_weights()).items():
        np.testing.assert_array_equal(weight, weights[name])


def test_killed_within_epochs_and_at_their_ends(train, classifier, straight, tmp_path, monkeypatch, capsys):
    kills = {2: "epoch 1, step 3", STEPS: "epoch 2, step 1", 2 * STEPS + 7: "epoch 3, step 8", 4 * STEPS: "epoch 5"}
    for step in kills:
        with killed_after(step, monkeypatch):
            train(tmp_path / "state")
    check_same(train(tmp_path / "state"), classifier, straight)
    said = capsys.readouterr().err
    for where in kills.values():
        assert f"  seed {SEED}: resuming at {where}" in said


def test_an_epoch_is_saved_however_short_it_is(train, classifier, straight, tmp_path, monkeypatch, capsys):
    def die(state: RunState, step: int) -> None:
        if step == STEPS + 3:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(RunState, "save_if_due", die)
        with pytest.raises(KilledError):
            train(tmp_path / "state", save_seconds=1e9)
    check_same(train(tmp_path / "state", save_seconds=1e9), classifier, straight)
    assert "resuming at epoch 2, step 1" in capsys.readouterr().err


def test_sigterm_is_obeyed_at_the_end_of_the_step(train, classifier, straight, tmp_path, monkeypatch):
    execute, done = CompiledStep.__call__, 0

    def asked(self, *arguments):
        nonlocal done
        done += 1
        if done == 20:
            os.kill(os.getpid(), signal.SIGTERM)
        return execute(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(CompiledStep, "__call__", asked)
        with pytest.raises(Stopped) as stopped:
            train(tmp_path / "state", save_seconds=1e9)
    assert stopped.value.code == STOPPED_EXIT_CODE
    assert done == 20
    check_same(train(tmp_path / "state"), classifier, straight)


def test_features_killed_while_encoding_are_continued(classifier, labelled, tmp_path, monkeypatch):
    split = load_splits(labelled)["train"]
    expected = encode_split(classifier, split).features_NP
    encode, encoded = Classifier._pooled_of_group, []

    def pooled(self, batches):
        if len(encoded) == 2:
            raise KeyboardInterrupt
        encoded.append(len(batches))
        return encode(self, batches)

    store = FeatureStore(tmp_path, save_seconds=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "_pooled_of_group", pooled)
        with pytest.raises(KeyboardInterrupt):
            store.encode(classifier, "subject", split)
    (record,) = tmp_path.glob("*.json")
    assert json.loads(record.read_text())["batches"] == 2
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "_pooled_of_group", lambda self, group: encoded.append(1) or encode(self, group))
        found, seconds = store.encode(classifier, "subject", split)
        total = len(encoded)
        again, seconds_again = store.encode(classifier, "subject", split)
        assert len(encoded) == total, "what is encoded is read"
    np.testing.assert_array_equal(found.features_NP, expected)
    np.testing.assert_array_equal(again.features_NP, expected)
    assert seconds_again >= seconds > 0


def test_features_of_another_checkpoint_recipe_or_text_are_not_taken(classifier, labelled, tmp_path, monkeypatch):
    split, store = load_splits(labelled)["dev"], FeatureStore(tmp_path)
    store.encode(classifier, "subject", split)
    store.encode(classifier, "another", split)
    store.encode(classifier, "subject", replace(split, texts=split.texts[::-1]))
    recipe = classifier.config
    for other, files in ((replace(recipe, dropout=0.2), 3), (replace(recipe, pooling="mean"), 4)):
        monkeypatch.setattr(classifier, "config", other)
        store.encode(classifier, "subject", split)
        assert len(list(tmp_path.glob("*.npy"))) == files
