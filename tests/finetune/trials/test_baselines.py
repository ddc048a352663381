"""Baselines without an encoder."""

import random
import re

import numpy as np
import pytest

from corpora.labels.labelled_set import Split
from finetune.metrics.metrics import evaluate, tune_threshold
from finetune.trials.baselines import TERM, fit_tfidf, fit_word_vectors

TERMS = {0: "c++", 1: "c#", 2: "node.js"}


def split(count: int, seed: int, labels: int = 3) -> Split:
    """Texts that differ in one term, among words without meaning for the label."""
    draw = random.Random(seed)
    words = "how to read a file in my code with some loop".split()
    numbers = [n % 3 for n in range(count)]
    texts = [" ".join([*draw.choices(words, k=8), TERMS[number], *draw.choices(words, k=4)]) for number in numbers]
    return Split([str(n) for n in range(count)], texts, np.eye(labels, dtype=np.uint8)[numbers])


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("C++, C# (F#) and .NET!", "C++ C# F# and .NET"),
        ("node.js. scikit-learn", "node.js scikit-learn"),
        ("a_b x1", "a_b x1"),
    ],
)
def test_terms_keep_their_symbols(text, terms):
    assert re.findall(TERM, text) == terms.split()


def test_texts_that_differ_in_a_symbol_are_told_apart():
    result = fit_tfidf(split(300, 1), split(60, 2), split(60, 3))
    test = split(60, 3)
    threshold, _ = tune_threshold(split(60, 2).targets, result.dev_NL)
    assert result.test_NL.shape == (60, 3)
    assert evaluate(test.targets, result.test_NL, threshold)["weighted_f1"] > 0.97
    assert result.parameters == 3 * result.vocab_size > 9
    assert result.texts_per_second > 0


def test_word_vectors_tell_texts_apart_and_are_the_same_each_time():
    train, dev, test = split(300, 1), split(60, 2), split(60, 3)
    result, again, other = (fit_word_vectors(train, dev, test, seed) for seed in (0, 0, 1))
    threshold, _ = tune_threshold(dev.targets, result.dev_NL)
    assert evaluate(test.targets, result.test_NL, threshold)["weighted_f1"] > 0.8
    np.testing.assert_array_equal(result.test_NL, again.test_NL)
    assert not np.array_equal(result.test_NL, other.test_NL)
    assert result.parameters > result.vocab_size * 100
    assert result.texts_per_second > 0


def test_text_without_a_known_word_has_scores_too():
    train, dev = split(60, 1), split(30, 2)
    empty = Split(["a", "b"], ["", "!?"], np.eye(3, dtype=np.uint8)[:2])
    assert np.isfinite(fit_word_vectors(train, dev, empty).test_NL).all()


def test_label_without_a_training_text_is_scored_0():
    result = fit_tfidf(split(60, 1, labels=4), split(30, 2, labels=4), split(30, 3, labels=4))
    assert (result.test_NL[:, 3] == 0).all()


@pytest.mark.parametrize("fit", [fit_tfidf, fit_word_vectors])
def test_shuffled_labels_give_chance(fit):
    draw = np.random.default_rng(0)
    train, dev, test = (split(count, seed) for count, seed in ((150, 1), (60, 2), (300, 3)))
    mixed = [Split(each.ids, each.texts, draw.permutation(each.targets)) for each in (train, dev)]
    result = fit(*mixed, test)
    threshold, _ = tune_threshold(mixed[1].targets, result.dev_NL)
    # predicting all three labels everywhere gives F1 0.5
    assert evaluate(test.targets, result.test_NL, threshold)["weighted_f1"] < 0.56
