"""The search for pooling and learning rate: on dev, kept, exact, and nothing is run twice."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from finetune.compare.compare import compare
from finetune.compare.comparison import load_comparison
from finetune.config import CompareConfig, FinetuneConfig
from finetune.train.features import FeatureStore
from finetune.trials import trial_runner
from finetune.trials.search import Candidate, Search, Searcher
from finetune.trials.task import Task
from finetune.trials.trial import load_trial, save_trial
from pretrain.train.replicas import Replicas
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS, SIZES, WITHOUT_BASELINES, load_splits
from tests.pretrain.runs import killed_after

POOLINGS, RATES = ("cls", "mean"), (1e-5, 5e-3)


@pytest.fixture(scope="module")
def searching(config) -> CompareConfig:
    recipe = replace(config.recipe, learning_rate=RATES[0])
    return replace(config, recipe=recipe, search_poolings=POOLINGS, search_learning_rates=RATES, **WITHOUT_BASELINES)


@pytest.fixture(scope="module")
def searched(labelled, tiny_base, searching, tmp_path_factory) -> Path:
    """A comparison of one checkpoint with a search."""
    out = tmp_path_factory.mktemp("searched") / "out"
    compare(labelled, {"generic": str(tiny_base)}, out, searching)
    return out


def search_of(out: Path) -> Search:
    (found,) = load_comparison(out).searches
    return found


def chosen_recipe(out: Path, config: CompareConfig) -> CompareConfig:
    """The same comparison with what was chosen as its recipe."""
    return replace(
        config, recipe=replace(config.recipe, **search_of(out).chosen), search_poolings=(), search_learning_rates=()
    )


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The folders of the trials that are run from here on."""
    folders: list[str] = []

    def save(folder, trial):
        folders.append(f"{folder.parent.name}/{folder.name}")
        save_trial(folder, trial)

    monkeypatch.setattr(trial_runner, "save_trial", save)
    return folders


def test_best_on_dev_is_chosen_of_each_setting(searched):
    search = search_of(searched)
    assert [(each.setting, each.value) for each in search.candidates] == [
        *(("pooling", each) for each in POOLINGS),
        *(("learning_rate", each) for each in RATES),
    ]
    for setting in ("pooling", "learning_rate"):
        tried = [each for each in search.candidates if each.setting == setting]
        assert [each.value for each in tried if each.chosen] == [
            max(tried, key=lambda each: each.dev_weighted_f1).value
        ]
    assert all(0 < each.dev_weighted_f1 <= 1 and each.seconds > 0 for each in search.candidates)
    assert search.extra_seconds == sum(each.seconds for each in search.candidates if not each.chosen)


def test_result_is_that_of_the_chosen_recipe_to_the_bit(searched, labelled, tiny_base, searching, tmp_path):
    plain = tmp_path / "plain"
    compare(labelled, {"generic": str(tiny_base)}, plain, chosen_recipe(searched, searching))
    for file in ("trials/generic/seed-0/test.npy", "trials/generic/seed-1/test.npy", "models/generic/head.safetensors"):
        assert (plain / file).read_bytes() == (searched / file).read_bytes()
    ours, theirs = (json.loads((out / "models/generic/classifier.json").read_text()) for out in (searched, plain))
    assert ours == theirs
    ours, theirs = (load_trial(out / "trials/generic/seed-0").summary.key for out in (searched, plain))
    assert ours == theirs
    assert load_comparison(plain).searches == []


def test_chosen_learning_rate_is_not_trained_again_for_the_first_seed(
    labelled, tiny_base, searching, tmp_path, made, monkeypatch
):
    encoded: list[tuple[str, int]] = []
    features = FeatureStore._features

    def noted(self, classifier, subject, sequences):
        path = self._path(classifier, subject, sequences)
        if not path.exists():
            encoded.append((classifier.config.pooling, len(sequences)))
        return features(self, classifier, subject, sequences)

    monkeypatch.setattr(FeatureStore, "_features", noted)
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", searching)
    assert [name for name in made if name.startswith("learning-rate")] == [f"learning-rate-{r:g}/seed-0" for r in RATES]
    assert [name for name in made if name.startswith("generic")] == ["generic/seed-1"]
    pooling = search_of(tmp_path / "out").chosen["pooling"]
    splits = [(each, SIZES[split]) for each in POOLINGS for split in ("train", "dev")]
    assert encoded == [*splits, (pooling, SIZES["test"])], "each text once for a pooling; test with the chosen one only"


def test_search_of_an_earlier_comparison_is_reused(searched, labelled, tiny_base, searching, tmp_path, made):
    again = replace(searching, reuse=(str(searched),), title="again")
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", again)
    assert made == []
    assert search_of(tmp_path / "out") == search_of(searched)
    fixed = replace(chosen_recipe(searched, searching), reuse=(str(searched),))
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "fixed", fixed)
    assert made == []


def test_killed_search_continues_with_the_same_bytes(searched, labelled, tiny_base, searching, tmp_path, monkeypatch):
    out, settings = tmp_path / "out", replace(searching, save_seconds=0.0)
    for step in (4, 12, 11):  # twice in the first learning rate's trial, then in the second one's
        with killed_after(step, monkeypatch):
            compare(labelled, {"generic": str(tiny_base)}, out, settings)
    compare(labelled, {"generic": str(tiny_base)}, out, settings)
    names = ["models/generic/head.safetensors", "trials/generic/seed-1/test.npy", "trials/generic/seed-0/test.npy"]
    assert [name for name in names if (out / name).read_bytes() != (searched / name).read_bytes()] == []
    found, expected = (
        [(each.value, each.dev_weighted_f1, each.chosen) for each in search_of(folder).candidates]
        for folder in (out, searched)
    )
    assert found == expected


def test_smaller_training_sets_use_what_was_chosen_on_all_texts(searched, labelled, tiny_base, searching, tmp_path):
    settings = replace(searching, label_sizes=(60,), seeds=(0,), reuse=(str(searched),))
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", settings)
    plain = replace(chosen_recipe(searched, searching), label_sizes=(60,), seeds=(0,))
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "plain", plain)
    one, two = (np.load(tmp_path / name / "labels/60/generic/seed-0/test.npy") for name in ("out", "plain"))
    np.testing.assert_array_equal(one, two)


def test_choice_does_not_see_test(labelled):
    task = Task(LABELS, load_splits(labelled)).without_test()
    assert task.splits["test"] is task.splits["dev"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"search_poolings": ("cls",)}, "search_poolings.*two or more"),
        ({"search_poolings": ("cls", "cls")}, "search_poolings.*each once"),
        ({"search_learning_rates": (1e-5, 0.0)}, "above 0"),
        (
            {"search_learning_rates": (1e-5, 1e-4), "recipe": FinetuneConfig(learning_rate=5.0)},
            "recipe.learning_rate 5.0: is not among search_learning_rates",
        ),
        (
            {"search_poolings": ("cls", "mean"), "recipe": FinetuneConfig(pooling="cls+mean")},
            r"recipe.pooling cls\+mean: is not among search_poolings",
        ),
    ],
)
def test_candidates_that_are_no_choice_are_refused(settings, message):
    with pytest.raises(StackbertError, match=message):
        CompareConfig(**settings)


def test_first_of_equals_is_chosen():
    searcher, candidates = Searcher(SimpleNamespace(replicas=Replicas()), CompareConfig(), Path()), []
    tried = [Candidate("pooling", name, f1, 2.0) for name, f1 in (("cls", 0.4), ("mean", 0.5), ("cls+mean", 0.5))]
    assert searcher._choose(tried, candidates) == 1
    search = Search("a", 0, candidates)
    assert search.chosen == {"pooling": "mean"} and search.extra_seconds == 4.0
