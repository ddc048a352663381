"""What is said of a labelled set before anything is trained."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from corpora.labels.labelled_set import Split
from finetune.config import CompareConfig
from finetune.trials.task import Task, load_task, power_warning
from stackbert.core.artifact import build_artifact


def task(test_texts: int) -> Task:
    targets_NL = np.zeros((test_texts, 2), np.uint8)
    return Task(("a", "b"), {"test": Split([None] * test_texts, ["x"] * test_texts, targets_NL)})


def test_few_seeds_are_warned_of_with_the_number_that_would_do():
    assert power_warning(task(20_000), CompareConfig(seeds=(0, 1, 2))) == (
        "comparison with 20,000 test texts and 3 seeds: two encoders must differ by about 1.8 points of weighted F1 "
        "for that to be shown (80 % power; assumed standard deviations: 0.6 points over seeds, and 18 points over the "
        "root of the number of test texts). To show 1: 8 seeds would do"
    )
    assert power_warning(task(20_000), CompareConfig(seeds=tuple(range(8)))) == ""


def test_few_test_texts_are_warned_of():
    assert power_warning(task(200), CompareConfig()).endswith(
        "To show 1: that needs more test texts, and perhaps more seeds"
    )


def test_wider_margin_needs_less():
    config = CompareConfig(seeds=(0, 1, 2))
    assert power_warning(task(5000), config)
    assert not power_warning(task(5000), replace(config, equivalence_points=2))


@pytest.mark.parametrize("texts", [200, 50_000])
def test_one_seed_is_always_warned_of(texts):
    assert power_warning(task(texts), CompareConfig(seeds=(4,))).startswith("comparison with one seed: intervals will")


def test_day_from_which_test_is_comes_from_the_manifest(labelled, tmp_path):
    assert load_task(labelled, CompareConfig()).test_from == ""

    def work(out):
        shutil.copytree(labelled, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
        return {"borders": {"test_from": "2021-06-01T00:00:00.000000+00:00"}}

    build_artifact(tmp_path / "later", "corpora label", {}, {}, work)
    task = load_task(tmp_path / "later", CompareConfig())
    assert task.test_from == "2021-06-01"
    assert task.description()["test texts created from"] == "2021-06-01"
