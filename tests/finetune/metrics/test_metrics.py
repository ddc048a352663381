"""Each metric is what its definition says."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from finetune.metrics.metrics import (
    DEFINITIONS,
    MIN_POSITIVES,
    THRESHOLDS,
    decision_counts,
    evaluate,
    first_label_accuracy,
    per_label,
    precision_at,
    recall_at,
    tune_threshold,
    tune_thresholds,
    weighted_f1_of_counts,
)

NAMES = tuple("abcdef")


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets (N, L), some labels rare or absent, and scores that know a little of them."""
    generator = np.random.default_rng(seed)
    shares = generator.choice([0.0, 0.02, 0.2, 0.5], len(NAMES))
    targets = (generator.uniform(size=(60, len(NAMES))) < shares).astype(np.uint8)
    targets[0, 1] = 1
    scores = np.clip(0.3 * targets + generator.uniform(0, 0.7, targets.shape), 0, 1).astype(np.float32)
    return targets, scores


def sklearn_f1(targets: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    return f1_score(targets, scores >= threshold, average="weighted", zero_division=0)


@pytest.mark.parametrize("seed", range(20))
def test_weighted_f1_of_counts_equals_scikit_learn(seed):
    targets, scores = random_case(seed)
    right, wrong = decision_counts(targets, scores, 0.4)
    found = weighted_f1_of_counts(right.sum(0), wrong.sum(0), targets.sum(0))
    assert found == pytest.approx(sklearn_f1(targets, scores, 0.4), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_tuned_threshold_is_in_the_middle_of_the_best(seed):
    targets, scores = random_case(seed)
    all_f1 = [sklearn_f1(targets, scores, threshold) for threshold in THRESHOLDS]
    threshold, f1 = tune_threshold(targets, scores)
    assert f1 == pytest.approx(max(all_f1), abs=1e-12)
    best = np.isclose(all_f1, max(all_f1), atol=1e-12)
    index = THRESHOLDS.tolist().index(threshold)
    below, above = best[:index][::-1], best[index + 1 :]
    assert 0 <= int(above.cumprod().sum() - below.cumprod().sum()) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_first_label_accuracy_is_what_keras_calls_accuracy_on_a_multi_hot_target(seed):
    import keras

    targets, scores = random_case(seed)
    model = keras.Sequential([keras.Input((len(NAMES),)), keras.layers.Identity()])
    model.compile(loss="binary_crossentropy", metrics=["accuracy"])
    reported = model.evaluate(scores, targets.astype("f4"), verbose=0, return_dict=True)["accuracy"]
    assert first_label_accuracy(targets, scores) == pytest.approx(reported, abs=1e-6)


def test_precision_and_recall_at_k_by_hand():
    targets = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.uint8)
    scores = np.array([[0.9, 0.8, 0.1, 0.7], [0.1, 0.6, 0.9, 0.2], [0.4, 0.3, 0.2, 0.1]])
    assert precision_at(targets, scores, 1) == pytest.approx((1 + 0 + 0) / 3)
    assert precision_at(targets, scores, 2) == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert recall_at(targets, scores, 1) == pytest.approx((1 / 1 + 0) / 2)  # the question without labels is left out
    assert recall_at(targets, scores, 2) == pytest.approx((1 / 2 + 1) / 2)
    assert recall_at(targets, scores, 4) == pytest.approx(1)


def test_equal_scores_are_ranked_in_label_order():
    targets = np.array([[1, 0], [0, 1]], np.uint8)
    assert precision_at(targets, np.full((2, 2), 0.5), 1) == first_label_accuracy(targets, np.full((2, 2), 0.5)) == 0.5


def test_evaluate_gives_every_defined_metric_and_nothing_else():
    targets, scores = random_case(3)
    found = evaluate(targets, scores, 0.4)
    assert found.keys() == DEFINITIONS.keys()
    assert all(isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1 for value in found.values())
    assert found["weighted_f1"] == pytest.approx(sklearn_f1(targets, scores, 0.4))
    assert found["subset_accuracy"] == pytest.approx(np.mean(((scores >= 0.4) == targets).all(1)))
    present = targets.any(0)
    expected = average_precision_score(targets[:, present], scores[:, present], average="weighted")
    assert found["average_precision"] == pytest.approx(expected)


def test_perfect_scores_give_one_everywhere():
    targets = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1]], np.uint8)
    found = evaluate(targets, targets.astype("f4"), 0.5)
    assert found.pop("without_label") == 0
    assert set(found.values()) == {1.0}


def test_share_without_a_label_is_that_of_rows_below_the_thresholds():
    targets, scores = np.eye(3, dtype=np.uint8), np.array([[0.4, 0.4, 0], [0, 0.4, 0], [0, 0, 0.4]])
    assert evaluate(targets, scores, np.array([0.3, 0.5, 0.4]))["without_label"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_thresholds_of_labels_are_each_the_best_and_none_is_lost(seed):
    targets, scores = random_case(seed)
    targets[:, 1] = 0
    shared = tune_thresholds("global", targets, scores)
    own = tune_thresholds("label", targets, scores)
    assert set(shared) == {tune_threshold(targets, scores)[0]}
    for label in range(targets.shape[1]):
        f1 = [f1_score(targets[:, label], scores[:, label] >= t, zero_division=0) for t in THRESHOLDS]
        reached = f1_score(targets[:, label], scores[:, label] >= own[label], zero_division=0)
        if targets[:, label].sum() < MIN_POSITIVES:
            assert own[label] == shared[label]
        else:
            assert reached == pytest.approx(max(f1))


def test_label_of_few_texts_or_never_found_keeps_the_threshold_for_all():
    targets = np.zeros((40, 3), np.uint8)
    targets[:20, 0] = targets[: MIN_POSITIVES - 1, 1] = targets[:MIN_POSITIVES, 2] = 1
    scores = np.where(targets, 0.6, 0.2)
    scores[:, 1] += 0.3
    scores[:, 2] = 0.0
    shared, own = (tune_thresholds(kind, targets, scores) for kind in ("global", "label"))
    assert own.tolist() == [0.4, shared[1], shared[2]]
    assert shared[0] == 0.55


def test_per_label_equals_scikit_learn():
    targets, scores = random_case(2)
    columns = precision_recall_fscore_support(targets, scores >= 0.4, zero_division=0)
    for number, entry in enumerate(per_label(targets, scores, 0.4, NAMES)):
        assert entry.label == NAMES[number]
        assert [entry.precision, entry.recall, entry.f1, entry.support] == [c[number] for c in columns]
