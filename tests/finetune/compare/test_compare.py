"""A whole comparison of tiny checkpoints."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from corpora.labels.labelled_set import load_labelled
from finetune.compare.compare import compare
from finetune.compare.comparison import load_comparison
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import load_bundle
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import DEFINITIONS
from finetune.metrics.significance import compare_weighted_f1
from finetune.trials import fine_tuner
from finetune.trials.systems import CLEANED, LINEAR, VECTORS
from finetune.trials.trial import load_trial
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS, WITHOUT_BASELINES, load_splits
from tests.pages import browser_page


def test_outputs_are_all_there(finished):
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {"comparison.json", "comparison.md", "report.html", "manifest.json"} <= names
    for system in ("generic", "adapted"):
        assert {f"trials/{system}/seed-{seed}/trial.json" for seed in (0, 1)} <= names
        assert f"models/{system}/model.safetensors" in names


def test_comparison_has_every_metric_of_each_system(finished):
    comparison = load_comparison(finished)
    assert [system.name for system in comparison.systems] == [LINEAR, VECTORS, "generic", "adapted"]
    for system in comparison.systems:
        assert system.metrics.keys() == DEFINITIONS.keys()
        assert len(system.metrics["weighted_f1"].values) == (1 if system.name == LINEAR else 2)
        assert (system.against_baseline is None) == (system.name == "generic")
        assert [entry.label for entry in system.per_label] == list(LABELS)
    assert comparison.baseline == "generic"
    assert comparison.data.test == 60
    assert comparison.verdict


def test_comparison_json_names_what_it_holds(finished):
    comparison = json.loads((finished / "comparison.json").read_text("utf-8"))
    assert {"systems", "seeds", "recipe", "gain_against_labels", "made_from"} <= comparison.keys()
    assert {"labels", "system generic", "system adapted"} == comparison["made_from"].keys()
    epochs = comparison["systems"][-1]["curves"][0]["head"]
    assert [record["epoch"] for record in epochs] == [1, 2]


def test_saved_model_gives_the_scores_of_the_first_seed(finished, labelled):
    bundle = load_bundle(finished / "models" / "generic")
    test = load_splits(labelled)["test"]
    first = np.load(finished / "trials" / "generic" / "seed-0" / "test.npy")
    for prediction, scores in zip(bundle.predict(test.texts[:5]), first, strict=False):
        found = {label.name: label.score for label in prediction}
        assert found.keys() == set(LABELS)
        np.testing.assert_allclose([found[name] for name in LABELS], scores, atol=1e-5)


def test_saved_model_has_a_card(finished):
    card = (finished / "models" / "generic" / "README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: transformers")
    for line in (
        "| mysql | 0.",
        "- train texts: 240",
        "not recorded",
        "| weighted_f1 | ",
        "## Limits",
        "- head_epochs: 2",
    ):
        assert line in card


def test_card_of_a_classifier_that_reads_sections_does_not_mention_transformers_classes(tmp_path):
    write_model_card(tmp_path, "base", FinetuneConfig(code_tokens=9), ("a",), np.array([0.5]), {}, {}, True)
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "stackbert finetune predict" in card
    assert "AutoModelForSequenceClassification" not in card


def test_same_checkpoint_under_two_names_makes_no_difference(finished, labelled, tiny_base, config, tmp_path):
    checkpoints = {"one": str(tiny_base), "two": str(tiny_base)}
    compare(labelled, checkpoints, tmp_path / "out", replace(config, reuse=(str(finished),), **WITHOUT_BASELINES))
    comparison = load_comparison(tmp_path / "out")
    assert comparison.systems[1].against_baseline.difference == 0
    assert comparison.systems[1].against_baseline.verdict == "no difference"
    assert "No gain is shown" in comparison.verdict


def test_other_seeds_of_the_same_checkpoint_make_no_difference(finished, labelled, tiny_base, config, tmp_path):
    """Not by construction, as with the same seeds: two sets of trainings that differ by chance alone."""
    seeds = (0, 1, 2, 3, 4, 5)
    further = replace(config, seeds=seeds, reuse=(str(finished),), **WITHOUT_BASELINES)
    compare(labelled, {"one": str(tiny_base)}, tmp_path / "out", further)
    trials = [load_trial(tmp_path / "out" / "trials" / "one" / f"seed-{seed}") for seed in seeds]
    predictions = [(trial.test_NL, trial.thresholds_L) for trial in trials]
    targets_NL = load_labelled(labelled, "test").targets
    against = compare_weighted_f1(targets_NL, predictions[:3], predictions[3:], resamples=200, margin=0.01)
    assert against.difference != 0
    assert against.verdict == "no difference"


def test_loss_that_is_not_a_number_names_checkpoint_and_seed(labelled, tiny_base, config, tmp_path, monkeypatch):
    def broken(self, splits, seed, state):
        raise StackbertError("epoch 1, step 2: the loss is nan")

    monkeypatch.setattr(fine_tuner.WholeTraining, "run", broken)
    with pytest.raises(StackbertError, match=re.escape(f"{tiny_base}, seed 0: epoch 1, step 2: the loss is nan")):
        compare(labelled, {"one": str(tiny_base)}, tmp_path / "out", replace(config, **WITHOUT_BASELINES))


def test_systems_on_cleaned_texts(finished, labelled, tiny_base, config, tmp_path):
    settings = replace(config, cleaned=True, seeds=(0,), reuse=(str(finished),), **WITHOUT_BASELINES)
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", settings)
    generic, cleaned = load_comparison(tmp_path / "out").systems
    assert [generic.name, cleaned.name] == ["generic", "generic" + CLEANED]
    assert cleaned.tokens_per_text < generic.tokens_per_text
    assert [path.name for path in (tmp_path / "out" / "models").iterdir()] == ["generic"]  # none for cleaned texts


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_report_opens_in_a_browser_without_an_error_or_overflow(width, finished):
    with browser_page(width) as (page, said):
        page.goto((finished / "report.html").as_uri())
        assert page.inner_text("h1")
        assert page.locator("img").count() > 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []
