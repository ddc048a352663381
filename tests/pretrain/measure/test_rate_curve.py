"""What a curve of losses at rising rates suggests, and how it is drawn."""

import math

import numpy as np
import pytest

from pretrain.measure.rate_curve import RateCurve, RateSuggestion, read_curve, smooth, smooth_behind, suggest_rate

STEPS = 100
RATES = np.geomspace(1e-6, 1e-2, STEPS)
LOGS = np.log10(RATES)
FALL = 6.0 - 2.0 / (1 + np.exp(-4 * (LOGS + 4)))
"""Losses that fall from 6 to 4, fastest at a rate of 1e-4."""


def noise(seed: int, size: float = 0.1) -> np.ndarray:
    return size * np.random.default_rng(seed).normal(size=STEPS)


def curve(losses: np.ndarray) -> RateCurve:
    return read_curve(RATES.tolist(), losses.tolist(), len(losses))


def suggested(losses: np.ndarray) -> RateSuggestion:
    found = suggest_rate(curve(losses))
    assert isinstance(found, RateSuggestion), found
    return found


def test_the_suggestion_is_where_the_loss_falls_fastest():
    rising = np.maximum(0, LOGS + 2.5)
    found = suggested(FALL + rising)
    assert found.steepest == pytest.approx(1e-4, rel=0.15), "a step is a factor of 1.1"
    assert found.tenth_of_lowest == pytest.approx(10**-2.7 / 10, rel=0.6)
    assert found.note == ""


@pytest.mark.parametrize("seed", range(5))
def test_noise_moves_it_by_a_factor_of_two_at_most(seed):
    assert 0.5e-4 < suggested(FALL + noise(seed) + np.maximum(0, LOGS + 2.5)).steepest < 2e-4


def test_flat_losses_suggest_none():
    assert "can be chance" in suggest_rate(curve(np.full(STEPS, 3.0)))
    chance = [suggest_rate(curve(3 + noise(seed))) for seed in range(200)]
    assert sum(isinstance(found, RateSuggestion) for found in chance) <= 2, "1 in 100"
    assert "no learning rate can be suggested" in str(curve(3 + noise(0)))


def test_rising_losses_suggest_none():
    assert isinstance(suggest_rate(curve(3 + 0.01 * np.arange(STEPS))), str)


def test_a_loss_that_is_not_finite_ends_the_curve():
    losses = FALL.copy()
    losses[70:] = math.nan
    found = curve(losses)
    assert len(found.losses_N) == len(found.rates_N) == 70
    assert found.stopped == "the next loss was nan"
    assert suggested(losses).steepest == pytest.approx(1e-4, rel=0.15)
    assert suggested(losses).note == "", "it ended before the highest rate"


@pytest.mark.parametrize("finite", [0, 1, 9])
def test_losses_of_which_few_are_finite_suggest_none(finite):
    losses = np.where(np.arange(STEPS) < finite, FALL, math.inf)
    assert f"of only {finite} steps is finite" in suggest_rate(curve(losses))
    assert "the next loss was inf" in str(curve(losses))


def test_the_curve_ends_before_the_smoothed_loss_exceeds_four_times_its_lowest_value():
    losses = np.where(np.arange(STEPS) < 80, FALL, 1e6)
    found = curve(losses)
    assert len(found.losses_N) == 80, "one loss of a million is enough"
    assert "exceeds 4 times its lowest value" in found.stopped
    assert found.smoothed_N.max() < 6.1, "which leaves no trace"
    risen = curve(np.where(np.arange(STEPS) < 80, FALL, 3.9 * FALL[79]))
    assert (len(risen.losses_N), risen.stopped) == (STEPS, "")


def test_a_range_that_is_too_narrow_is_said():
    assert "ends higher" in suggested(FALL[:60].repeat(2)[:STEPS]).note
    falling = 6 - 3 * (1 - np.exp(-np.arange(STEPS) / 30))
    assert "begins lower" in suggested(falling).note


def test_smoothed_losses_of_a_constant_are_the_constant():
    for each in (smooth, smooth_behind):
        np.testing.assert_allclose(each(np.full(30, 2.5), 8.0), 2.5, rtol=1e-12)


def test_smoothed_losses_do_not_lag():
    ramp = np.arange(60.0)
    np.testing.assert_allclose(smooth(ramp, 4.0)[25:35], ramp[25:35], atol=0.01)
    assert np.all(smooth_behind(ramp, 4.0)[25:35] < ramp[25:35] - 2.5)


def test_the_drawing_has_the_curve_and_the_suggested_rate():
    lines = str(curve(FALL + np.maximum(0, LOGS + 2.5))).splitlines()
    plot = [line.partition("|")[2] for line in lines if "|" in line]
    assert len(plot) == 12
    left = next(number for number, line in enumerate(plot) if line.startswith("o"))
    bottom = next(number for number in range(11, 0, -1) if "o" in plot[number])
    assert left < bottom, "it falls"
    axis = next(line for line in lines if "^" in line)
    assert axis.index("^") - axis.index("+") - 1 == pytest.approx(30, abs=1), "half way from 1e-06 to 1e-02"
    names = lines[lines.index(axis) + 1].split()
    assert names == ["rate", "1e-06", "1e-05", "1e-04", "1e-03", "1e-02"]
    assert sum(line.split()[0] == "1.00e-06" for line in lines if line.split()) == 1
    assert lines[-2].startswith("suggested learning_rate: ")
    assert max(map(len, lines)) < 100


def test_a_curve_of_one_step_is_drawn():
    assert "o" in str(read_curve([1e-6], [3.0], STEPS))
