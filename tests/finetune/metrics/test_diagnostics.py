"""Calibration and worst errors, on cases whose answer is known."""

import numpy as np
import pytest

from corpora.labels.labelled_set import Split
from finetune.metrics.diagnostics import CalibrationPoint, ScoredLabel, calibration, worst_errors


def test_probabilities_that_come_true_as_often_as_they_say_have_no_error():
    generator = np.random.default_rng(0)
    scores = generator.random((4_000, 5))
    targets = (generator.random(scores.shape) < scores).astype(np.uint8)
    found = calibration(targets, [scores, scores])
    assert found.error < 0.02
    assert [point.decisions for point in found.points] == pytest.approx([4_000] * 10, rel=0.1)
    for point in found.points:
        assert point.true == pytest.approx(point.predicted, abs=0.04)


def test_overconfidence_is_its_distance():
    targets = np.array([[1, 0], [0, 0]], np.uint8)
    found = calibration(targets, [np.array([[1.0, 0.0], [1.0, 0.0]])])
    assert found.points == [
        CalibrationPoint(predicted=0.0, true=0.0, decisions=2),
        CalibrationPoint(predicted=1.0, true=0.5, decisions=2),
    ]
    assert found.error == pytest.approx(0.5)


def test_many_labels_that_are_rightly_near_0_do_not_hide_a_calibration_error():
    targets, scores = np.zeros((10, 100), np.uint8), np.full((10, 100), 0.01)
    scores[:, 0] = 0.85
    assert calibration(targets, [scores]).error == pytest.approx(0.85)
    assert calibration(targets[:, 1:], [scores[:, 1:]]).error is None


def test_most_surprising_texts_come_first_with_what_was_predicted():
    targets = np.array([[1, 0], [1, 0], [0, 1]], np.uint8)
    split = Split(["1", "2", "3"], ["right", "quite \n wrong", "shy"], targets)
    scores = np.array([[0.9, 0.1], [0.01, 0.99], [0.2, 0.4]], np.float32)
    found = worst_errors(split, scores, np.array([0.5, 0.6]), ("a", "b"))
    assert [(error.id, error.text, error.labels) for error in found] == [
        ("2", "quite wrong", ["a"]),
        ("3", "shy", ["b"]),
        ("1", "right", ["a"]),
    ]
    assert [[each.label for each in error.predicted] for error in found] == [["b"], [], ["a"]]
    assert found[1].highest == ScoredLabel("b", pytest.approx(0.4))
