"""'better' is said when it is, and only then."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from finetune.significance import compare_weighted_f1, summarize

QUESTIONS, LABELS = 300, 5


def targets() -> np.ndarray:
    return (np.random.default_rng(0).uniform(size=(QUESTIONS, LABELS)) < 0.3).astype(np.uint8)


def predictions(right_share: float, seed: int) -> tuple[np.ndarray, float]:
    """Scores that decide right on that share of (question, label) pairs at threshold 0.5."""
    right = np.random.default_rng(seed).uniform(size=(QUESTIONS, LABELS)) < right_share
    return np.where(right == (targets() > 0), 0.9, 0.1).astype(np.float32), 0.5


def compared(ours: list, theirs: list, resamples: int = 500) -> dict:
    return compare_weighted_f1(targets(), ours, theirs, resamples)


def test_same_predictions_make_no_difference():
    same = [predictions(0.9, seed) for seed in (1, 2)]
    found = compared(same, same)
    assert found["difference"] == 0
    assert found["low"] <= 0 <= found["high"]
    assert found["verdict"] == "no difference"


def test_same_single_prediction_has_an_empty_interval():
    found = compared([predictions(0.9, 1)], [predictions(0.9, 1)])
    assert (found["low"], found["high"], found["verdict"]) == (0, 0, "no difference")


def test_clearly_better_and_swapped_clearly_worse():
    good, bad = ([predictions(share, seed) for seed in (1, 2)] for share in (0.95, 0.75))
    better, worse = compared(good, bad), compared(bad, good)
    assert better["verdict"] == "better" and better["low"] > 0
    assert worse["verdict"] == "worse" and worse["high"] < 0
    assert better["difference"] == pytest.approx(-worse["difference"])


def test_point_is_the_difference_of_scikit_learns_means():
    ours, theirs = [predictions(0.9, 1), predictions(0.8, 2)], [predictions(0.85, 3)]
    means = [
        np.mean([f1_score(targets(), scores >= t, average="weighted", zero_division=0) for scores, t in side])
        for side in (ours, theirs)
    ]
    assert compared(ours, theirs)["difference"] == pytest.approx(means[0] - means[1], abs=1e-6)


def test_interval_of_equal_models_holds_0_at_about_its_rate():
    trials = [compared([predictions(0.85, 2 * n)], [predictions(0.85, 2 * n + 1)], 200) for n in range(60)]
    said = sum(found["verdict"] != "no difference" for found in trials)
    print(f"{said} of {len(trials)} comparisons of equals called a difference")
    assert said <= 8  # 3 expected; more than 8 by chance once in 250


def test_seeds_that_disagree_widen_the_interval():
    theirs = [predictions(0.85, 5)]
    one = compared([predictions(0.9, 1)], theirs)
    mixed = compared([predictions(0.98, 1), predictions(0.82, 2)], theirs)
    assert mixed["high"] - mixed["low"] > one["high"] - one["low"]


def test_same_input_gives_the_same_interval():
    ours, theirs = [predictions(0.9, 1)], [predictions(0.85, 2)]
    assert compared(ours, theirs) == compared(ours, theirs)


def test_summary_by_hand():
    found = summarize([0.6, 0.7, 0.8])
    half = 4.302653 * 0.1 / 3**0.5  # Student's t for 2 degrees of freedom, standard deviation 0.1
    assert found["mean"] == pytest.approx(0.7)
    assert found["low"] == pytest.approx(0.7 - half, abs=1e-6)
    assert found["high"] == pytest.approx(0.7 + half, abs=1e-6)
    assert found["values"] == [0.6, 0.7, 0.8]


def test_summary_of_one_seed_is_the_value():
    assert summarize([0.5]) == {"mean": 0.5, "low": 0.5, "high": 0.5, "values": [0.5]}
