"""What fine-tuning takes on this machine."""

from dataclasses import replace

import pytest

from finetune.config import CompareConfig, FinetuneConfig
from finetune.measure.preflight import FinetunePreflight
from finetune.measure.rates import FineTuningRates, measure_fine_tuning
from finetune.trials.task import load_task
from pretrain.measure.preflight import GIB, Preflight
from pretrain.train.replicas import Replicas

RATES = FineTuningRates(
    loading=1, compiling=2, encoding=0.01, head=0.001, training=0.1, saving=5, disk=0, memory=0, tokens=20
)


def test_seconds_of_all_trials_add_up():
    config = FinetuneConfig(head_epochs=10, epochs=3)
    once = 1 + 2 + 160 * 0.01
    seed = 10 * 120 * 0.001 + 3 * (100 * 0.1 + 20 * 0.01) + 60 * 0.01
    assert RATES.seconds((100, 20, 40), config, seeds=2) == pytest.approx(once + 2 * seed)
    assert RATES.seconds((100, 20, 40), config, seeds=2, saves=True) == pytest.approx(once + 2 * seed + 5)


def test_a_slice_has_its_share_of_the_roofline():
    part = Preflight("v5e:2x2", 4, 8, 128, 0, GIB, True, 197e12, 0.0, 30.0)  # a second a step
    there = RATES.on_slice(FinetunePreflight(part, part, texts_per_row=2), roofline_share=0.5)
    assert there
    assert (there.training, there.encoding, there.compiling) == (pytest.approx(1 / 8), pytest.approx(1 / 8), 60)
    assert (there.loading, there.head, there.saving) == (RATES.loading, RATES.head, RATES.saving)
    assert RATES.on_slice(FinetunePreflight(replace(part, fits=False), part, 2), 0.5) is None


def test_fine_tuning_is_measured_on_texts_of_the_task(labelled, checkpoints, recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = load_task(labelled, CompareConfig())
    found = measure_fine_tuning(checkpoints["generic"], task, recipe, Replicas(), seconds=0.5)
    assert min(found.encoding, found.head, found.loading, found.saving) > 0
    assert found.training >= found.encoding
    assert 3 < found.tokens <= recipe.max_length
    assert found.disk > 4 * 120 * 24, "the embeddings alone"
    assert list(tmp_path.iterdir()) == []


def test_search_adds_the_candidates_that_are_not_chosen():
    sizes, recipe = (100, 20, 40), FinetuneConfig(head_epochs=10, epochs=3)
    trial = RATES.seconds(sizes, recipe, seeds=2) - RATES.seconds(sizes, recipe, seeds=1)
    assert RATES.search_seconds(sizes, recipe, 0, 0) == 0
    assert RATES.search_seconds(sizes, recipe, 0, 3) == pytest.approx(2 * (trial + 5))
    heads, features = 2 * 10 * 120 * 0.001, 120 * 0.01
    assert RATES.search_seconds(sizes, recipe, 2, 0) == pytest.approx(1 + 2 + features + heads)
    assert RATES.search_seconds(sizes, recipe, 2, 0, compiles=False) == pytest.approx(1 + features + heads)
