"""Labels saved, on simulated learning curves whose factor is known."""

# N texts, L labels, K numbers of training texts, R resamples

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from finetune.metrics.labels_saved import CurveResamples, LabelsSaved, Ratio, _rising, labels_saved
from finetune.metrics.significance import Prediction

SIZES = (250, 500, 1_000, 2_000, 4_000)


def curve(factor: float = 1.0) -> np.ndarray:
    """Weighted F1 at each size, linear in the logarithm of `factor` times the size; (K, 2), no chance in it."""
    return np.repeat(0.5 + 0.05 * np.log2(factor * np.array(SIZES) / 250), 2).reshape(-1, 2)


def test_known_factor_is_recovered_at_each_size_and_bounded_beyond_the_curve():
    found = labels_saved(SIZES, curve(1.8), curve())
    assert [each.ratio.value for each in found] == pytest.approx([1.8, 1.8, 1.8, 1.8, 1.0])
    assert [each.ratio.beyond for each in found] == ["", "", "", "", "more"]
    assert labels_saved(SIZES, curve(40), curve())[1].ratio == Ratio(pytest.approx(8.0), "more")
    worse = labels_saved(SIZES, curve(0.5), curve())
    assert [each.ratio.beyond for each in worse] == ["less", "", "", "", ""]
    assert worse[2].ratio.value == pytest.approx(0.5)


def test_a_system_that_is_the_baseline_has_ratio_1():
    for each in labels_saved(SIZES, curve(), curve())[1:-1]:
        assert each == LabelsSaved(*[Ratio(pytest.approx(1.0), "")] * 3)


def test_curve_that_falls_is_made_monotone_as_scikit_learn_does():
    curves_KR = np.random.default_rng(3).normal(size=(6, 40))
    for ours_K, values_K in zip(_rising(curves_KR).T, curves_KR.T, strict=True):
        expected_K = IsotonicRegression().fit_transform(np.arange(6), values_K)
        np.testing.assert_allclose(ours_K, expected_K, atol=1e-7)
        assert (np.diff(ours_K) > 0).all()


def test_interval_that_ends_beyond_the_curve_says_so():
    own_KR = np.repeat(curve()[:, :1], 41, 1) + np.linspace(-0.12, 0.2, 41)
    own_KR[:, 0] = curve(1.5)[:, 0]
    found = labels_saved(SIZES, own_KR, np.repeat(curve()[:, :1], 41, 1))[1]
    assert found.ratio == Ratio(pytest.approx(1.5), "")
    assert found.low == Ratio(pytest.approx(0.5), "less")
    assert found.high == Ratio(pytest.approx(8.0), "more")


TEXTS = 500


def predictions(draw: np.random.Generator, hard_N: np.ndarray, shifts: list[float]) -> list[Prediction]:
    """One label, on every text: a text is found right unless its difficulty, with noise, exceeds the shift."""
    return [((hard_N + draw.normal(0, 0.3, TEXTS) < shift)[:, None].astype(np.float32), 0.5) for shift in shifts]


def study(trial: int, factor: float, seeds: int) -> list[LabelsSaved]:
    """Labels saved in a study whose systems' ability rises with log2 of labels, the same chance per text for both."""
    draw = np.random.default_rng([7, trial])
    hard_N, resamples = draw.normal(0, 1, TEXTS), CurveResamples(np.ones((TEXTS, 1), np.uint8), 200, trial)
    sides = []
    for side, worth in enumerate((factor, 1.0)):
        abilities = [0.25 * np.log2(worth * size / 1_000) for size in SIZES]
        sides.append([
            resamples.weighted_f1(predictions(draw, hard_N, list(able + draw.normal(0, 0.04, seeds))), side, number)
            for number, able in enumerate(abilities)
        ])  # fmt: skip
    return labels_saved(SIZES, *map(np.array, sides))


@pytest.mark.parametrize("seeds", [3, 10])
def test_interval_covers_the_true_factor_about_as_often_as_it_says(seeds):
    middle = [study(trial, 2.0, seeds)[2] for trial in range(100)]
    covered = sum(each.low.value <= 2.0 <= each.high.value for each in middle)
    ratios = [each.ratio.value for each in middle]
    print(seeds, covered, np.median(ratios), np.median([e.high.value / e.low.value for e in middle]))
    assert 90 <= covered <= 100
    assert 1.8 < np.median(ratios) < 2.2
    assert np.median([each.high.value / each.low.value for each in middle]) < 3, "it is of use"


def test_texts_are_paired_so_that_the_interval_is_narrower_than_of_two_test_sets():
    """The same resamples for both systems: the difficulty of the texts, which both share, cancels."""
    draw, targets_NL = np.random.default_rng(0), np.ones((TEXTS, 1), np.uint8)
    hard_N = draw.normal(0, 1, TEXTS)
    sides = [[predictions(draw, hard_N, [0.25 * np.log2(worth * n / 1_000)]) for n in SIZES] for worth in (2, 1)]
    one, other = (CurveResamples(targets_NL, 200, seed) for seed in (0, 1))
    own_KR, paired_KR = (np.array([one.weighted_f1(each) for each in side]) for side in sides)
    unpaired_KR = np.array([other.weighted_f1(each) for each in sides[1]])
    widths = [
        found[2].high.value / found[2].low.value
        for found in (labels_saved(SIZES, own_KR, theirs_KR) for theirs_KR in (paired_KR, unpaired_KR))
    ]
    assert widths[0] < 0.8 * widths[1]
