"""Intervals and verdicts: 'better' only for systems that are."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from finetune.metrics.significance import Difference, Interval, compare_weighted_f1, summarize

QUESTIONS, LABELS = 300, 5


def targets() -> np.ndarray:
    return (np.random.default_rng(0).uniform(size=(QUESTIONS, LABELS)) < 0.3).astype(np.uint8)


def predictions(right_share: float, seed: int | tuple[int, ...]) -> tuple[np.ndarray, float]:
    """Scores that decide right on that share of (question, label) pairs at threshold 0.5."""
    right = np.random.default_rng(seed).uniform(size=(QUESTIONS, LABELS)) < right_share
    return np.where(right == (targets() > 0), 0.9, 0.1).astype(np.float32), 0.5


def compared(ours: list, theirs: list, resamples: int = 500) -> Difference:
    return compare_weighted_f1(targets(), ours, theirs, resamples)


def test_same_predictions_make_no_difference():
    same = [predictions(0.9, seed) for seed in (1, 2)]
    found = compared(same, same)
    assert found.difference == 0
    assert found.low <= 0 <= found.high
    assert found.verdict == "no difference"


def test_same_single_prediction_has_an_empty_interval():
    found = compared([predictions(0.9, 1)], [predictions(0.9, 1)])
    assert (found.low, found.high, found.verdict) == (0, 0, "no difference")


def test_clearly_better_and_swapped_clearly_worse():
    good, bad = ([predictions(share, seed) for seed in (1, 2)] for share in (0.95, 0.75))
    better, worse = compared(good, bad), compared(bad, good)
    assert better.verdict == "better" and better.low > 0
    assert worse.verdict == "worse" and worse.high < 0
    assert better.difference == pytest.approx(-worse.difference)


def test_point_is_the_difference_of_scikit_learns_means():
    ours, theirs = [predictions(0.9, 1), predictions(0.8, 2)], [predictions(0.85, 3)]
    means = [
        np.mean([f1_score(targets(), scores >= t, average="weighted", zero_division=0) for scores, t in side])
        for side in (ours, theirs)
    ]
    assert compared(ours, theirs).difference == pytest.approx(means[0] - means[1], abs=1e-6)


def test_interval_of_equal_models_holds_0_at_about_its_rate():
    trials = [compared([predictions(0.85, 2 * n)], [predictions(0.85, 2 * n + 1)], 200) for n in range(60)]
    said = sum(found.verdict != "no difference" for found in trials)
    print(f"{said} of {len(trials)} comparisons of equals called a difference")
    assert said <= 8  # 3 expected; more than 8 by chance once in 250


def test_seeds_that_disagree_widen_the_interval():
    theirs = [predictions(0.85, 5)]
    one = compared([predictions(0.9, 1)], theirs)
    mixed = compared([predictions(0.98, 1), predictions(0.82, 2)], theirs)
    assert mixed.high - mixed.low > one.high - one.low


def test_models_that_differ_by_seed_only_are_seldom_called_different():
    test_noise = (0.85 * 0.15 / QUESTIONS / LABELS) ** 0.5  # of the share that is right; the seeds' is twice that
    draw = np.random.default_rng(0)

    def model(number: int) -> list:  # its seeds are right about the same questions, but for their own luck
        return [predictions(0.85 + 2 * test_noise * luck, (1, number)) for luck in draw.normal(size=3)]

    trials = [compared(model(2 * n), model(2 * n + 1), 50) for n in range(150)]
    said = sum(found.verdict != "no difference" for found in trials)
    print(f"{said} of {len(trials)} comparisons of equals called a difference")
    assert said / len(trials) < 0.09


def test_two_runs_of_one_model_make_no_difference():
    ours, theirs = ([predictions(0.85 + luck, 3) for luck in luck_of] for luck_of in ((0.02, 0.01), (-0.01, 0.0)))
    found = compared(ours, theirs)
    assert found.difference > 0
    assert found.verdict == "no difference"


def test_interval_by_hand():
    ours, theirs = [predictions(share, n) for n, share in enumerate((0.9, 0.86, 0.88))], [predictions(0.85, 9)]
    found, alone = compared(ours, theirs, 20), compared(ours[:1], theirs, 20)
    f1 = [f1_score(targets(), scores >= t, average="weighted", zero_division=0) for scores, t in ours]
    of_seeds = np.var(f1, ddof=1) / 3
    weights = np.random.default_rng(0).multinomial(QUESTIONS, [1 / QUESTIONS] * QUESTIONS, 20)
    drawn = np.array([[_weighted(scores, weight) for scores, _ in (*ours, *theirs)] for weight in weights])
    of_test = np.var(drawn[:, :3].mean(1) - drawn[:, 3], ddof=1)
    freedom = (of_test + of_seeds) ** 2 / (of_seeds**2 / 2)
    half = stats.t.ppf(0.975, freedom) * (of_test + of_seeds) ** 0.5
    assert found.high - found.difference == pytest.approx(half, rel=1e-3)
    assert found.difference - found.low == pytest.approx(half, rel=1e-3)
    half = 1.959964 * np.std(drawn[:, 0] - drawn[:, 3], ddof=1)
    assert alone.high - alone.difference == pytest.approx(half, rel=1e-3)


def _weighted(scores: np.ndarray, weight: np.ndarray) -> float:
    return f1_score(targets(), scores >= 0.5, average="weighted", zero_division=0, sample_weight=weight)


def test_same_input_gives_the_same_interval():
    ours, theirs = [predictions(0.9, 1)], [predictions(0.85, 2)]
    assert compared(ours, theirs) == compared(ours, theirs)


def test_summary_by_hand():
    found = summarize([0.6, 0.7, 0.8])
    half = 4.302653 * 0.1 / 3**0.5  # Student's t for 2 degrees of freedom, standard deviation 0.1
    assert found.mean == pytest.approx(0.7)
    assert found.low == pytest.approx(0.7 - half, abs=1e-6)
    assert found.high == pytest.approx(0.7 + half, abs=1e-6)
    assert found.values == [0.6, 0.7, 0.8]


def test_summary_of_one_seed_is_the_value():
    assert summarize([0.5]) == Interval(mean=0.5, low=0.5, high=0.5, values=[0.5])
