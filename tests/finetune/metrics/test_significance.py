"""Intervals and verdicts: 'better' only for systems that are."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from finetune.metrics.significance import (
    SEED_DEVIATION,
    TEXT_DEVIATION,
    Difference,
    Interval,
    compare_weighted_f1,
    expected_smallest_shown,
    summarize,
)

QUESTIONS, LABELS = 300, 5


def targets() -> np.ndarray:
    return (np.random.default_rng(0).uniform(size=(QUESTIONS, LABELS)) < 0.3).astype(np.uint8)


def predictions(right_share: float, seed: int | tuple[int, ...]) -> tuple[np.ndarray, float]:
    """Scores that decide right on that share of (question, label) pairs at threshold 0.5."""
    right = np.random.default_rng(seed).uniform(size=(QUESTIONS, LABELS)) < right_share
    return np.where(right == (targets() > 0), 0.9, 0.1).astype(np.float32), 0.5


def compared(ours: list, theirs: list, resamples: int = 500, margin: float = 0.01) -> Difference:
    return compare_weighted_f1(targets(), ours, theirs, resamples, margin)


def test_same_predictions_make_no_difference():
    same = [predictions(0.9, seed) for seed in (1, 2)]
    found = compared(same, same)
    assert found.difference == 0
    assert found.low <= 0 <= found.high
    assert found.verdict == "no difference"


def test_same_single_prediction_has_an_empty_interval():
    found = compared([predictions(0.9, 1)], [predictions(0.9, 1)])
    assert (found.low, found.high, found.verdict) == (0, 0, "no difference")
    assert (found.low_90, found.high_90, found.equivalent, found.smallest_shown) == (0, 0, True, 0)


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
    half = stats.t.ppf(0.95, freedom) * (of_test + of_seeds) ** 0.5
    assert (found.low_90, found.high_90) == pytest.approx((found.difference - half, found.difference + half), rel=1e-3)
    quantiles = stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)
    assert found.smallest_shown == pytest.approx(quantiles * (of_test + of_seeds) ** 0.5, rel=1e-3)
    half = 1.959964 * np.std(drawn[:, 0] - drawn[:, 3], ddof=1)
    assert alone.high - alone.difference == pytest.approx(half, rel=1e-3)


def _weighted(scores: np.ndarray, weight: np.ndarray) -> float:
    return f1_score(targets(), scores >= 0.5, average="weighted", zero_division=0, sample_weight=weight)


def test_equivalent_is_an_interval_within_the_margin_whatever_the_verdict():
    ours, theirs = ([predictions(share, seed) for seed in (1, 2)] for share in (0.95, 0.9))
    found = compared(ours, theirs)
    assert found.verdict == "better" and not found.equivalent
    assert compared(ours, theirs, margin=found.high_90 + 1e-9).equivalent
    assert compared(ours, theirs, margin=found.high_90 + 1e-9).verdict == "better"
    assert not compared(ours, theirs, margin=found.high_90 - 1e-9).equivalent
    swapped = compared(theirs, ours)
    assert compared(theirs, ours, margin=-swapped.low_90 + 1e-9).equivalent
    assert not compared(theirs, ours, margin=-swapped.low_90 - 1e-9).equivalent


class Population:
    """Two systems that are wrong together about some (text, label) pairs; texts and seeds are drawn anew each time."""

    LABEL_SHARE, SHARED, SEED_LUCK, SEEDS = 0.3, 0.7, 0.012, 3

    def __init__(self, ours: float, theirs: float) -> None:
        self.shares, self.draw = (ours, theirs), np.random.default_rng(5)
        self.difference = self.weighted_f1(ours) - self.weighted_f1(theirs)

    def weighted_f1(self, right_share: float) -> float:
        """Of infinitely many texts."""
        true_positives = self.LABEL_SHARE * right_share
        return 2 * true_positives / (2 * true_positives + 1 - right_share)

    def sample(self, margin: float, resamples: int = 60) -> Difference:
        """A comparison of new seeds on new texts."""
        size = (QUESTIONS, LABELS)
        targets_NL = (self.draw.uniform(size=size) < self.LABEL_SHARE).astype(np.uint8)
        common_NL, is_common_NL = self.draw.uniform(size=size), self.draw.uniform(size=size) < self.SHARED
        sides = []
        for share in self.shares:
            seeds = []
            for luck in self.draw.normal(0, self.SEED_LUCK, self.SEEDS):
                right = np.where(is_common_NL, common_NL, self.draw.uniform(size=size)) < share + luck
                seeds.append((np.where(right == (targets_NL > 0), 0.9, 0.1).astype(np.float32), 0.5))
            sides.append(seeds)
        return compare_weighted_f1(targets_NL, *sides, resamples, margin)


def rate(found: list[Difference], said) -> float:
    return sum(map(said, found)) / len(found)


def test_systems_at_the_margin_are_seldom_called_equivalent():
    population = Population(0.87, 0.85)
    found = [population.sample(margin=population.difference) for _ in range(300)]
    equivalent = rate(found, lambda each: each.equivalent)
    print(f"{equivalent:.3f} of comparisons at the margin called equivalent")
    assert equivalent < 0.09  # 0.05 at most; more than 0.09 by chance once in 500


def test_equal_systems_are_called_equivalent_where_the_margin_is_wide_and_never_where_it_is_narrow():
    population = Population(0.85, 0.85)
    found = [population.sample(margin=0.08) for _ in range(150)]
    assert rate(found, lambda each: each.equivalent) > 0.95
    assert not any(population.sample(margin=0.01).equivalent for _ in range(50))


def test_90_and_95_percent_intervals_hold_the_true_difference_at_about_their_rates():
    population = Population(0.87, 0.85)
    found = [population.sample(margin=0.01) for _ in range(300)]
    covered = rate(found, lambda each: each.low_90 < population.difference < each.high_90)
    covered_95 = rate(found, lambda each: each.low < population.difference < each.high)
    print(f"90 % intervals: {covered:.3f}, 95 % intervals: {covered_95:.3f}")
    assert 0.85 < covered < 0.97
    assert 0.92 < covered_95 < 0.995


def test_smallest_difference_shown_is_shown_in_about_four_of_five_comparisons():
    of_equals = Population(0.85, 0.85)
    smallest = float(np.mean([of_equals.sample(margin=0.01).smallest_shown for _ in range(100)]))
    slope = (of_equals.weighted_f1(0.86) - of_equals.weighted_f1(0.84)) / 0.02
    population = Population(0.85 + smallest / 2 / slope, 0.85 - smallest / 2 / slope)
    assert population.difference == pytest.approx(smallest, rel=0.02)
    found = [population.sample(margin=0.01) for _ in range(200)]
    shown = rate(found, lambda each: each.verdict == "better")
    print(f"true difference {smallest:.4f}: {shown:.3f} of comparisons called it better")
    assert 0.70 < shown < 0.93


def test_expected_smallest_shown_by_hand():
    variance_of_texts, variance_of_seeds = TEXT_DEVIATION**2 / 5000, SEED_DEVIATION**2 / 3
    error = (variance_of_texts + 2 * variance_of_seeds) ** 0.5
    freedom = error**4 / (2 * variance_of_seeds**2 / 2)
    by_hand = error * (stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom))
    assert expected_smallest_shown(5000, 3) == pytest.approx(by_hand)
    one_seed = (1.959964 + 0.841621) * variance_of_texts**0.5
    assert expected_smallest_shown(5000, 1) == pytest.approx(one_seed, rel=1e-5)
    assert expected_smallest_shown(20_000, 10) < expected_smallest_shown(20_000, 5) < expected_smallest_shown(2000, 5)


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
