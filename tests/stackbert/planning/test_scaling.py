"""From two samples to the whole."""

import pytest

from stackbert.planning.scaling import extrapolate


def test_what_is_done_once_is_told_from_what_grows():
    assert extrapolate([(1, 100), (1, 400)], [3.0, 6.0], (1, 10_000)) == pytest.approx(102)


def test_a_whole_that_was_measured_is_not_extrapolated():
    assert extrapolate([(1, 0.25), (1, 1.0)], [9.0, 4.0], (1, 1.0)) == 4


def test_no_cost_is_negative():
    assert extrapolate([(1, 1), (1, 2)], [1.0, 4.0], (1, 10)) < 30, "the line through both would be at 28, below 0 at 0"
    assert extrapolate([(1, 1), (1, 2)], [1.0, 4.0], (1, 10)) > 15


def test_noise_does_not_make_the_whole_free():
    assert extrapolate([(1, 0.1), (1, 0.2)], [5.0, 4.0], (1, 1.0)) == pytest.approx(20)


def test_causes_that_grow_differently_are_told_apart():
    """Counting words grows with the text, learning with the distinct words."""
    assert extrapolate([(100, 0.1), (200, 0.4)], [100 + 1, 200 + 4], (400, 1.0)) == pytest.approx(410)
