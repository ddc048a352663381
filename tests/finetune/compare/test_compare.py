"""A whole comparison of tiny checkpoints."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tokenizers import ByteLevelBPETokenizer

from corpora.labels.labelled_set import load_labelled
from finetune.compare.compare import _with_precision, compare
from finetune.compare.comparison import load_comparison
from finetune.compare.gains import _exported_tokens, exported_checkpoints
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import load_bundle
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import DEFINITIONS
from finetune.metrics.significance import compare_weighted_f1
from finetune.train.features import FeatureStore
from finetune.trials import fine_tuner, trial_runner
from finetune.trials.systems import CLEANED, LINEAR, VECTORS, System
from finetune.trials.task import Task
from finetune.trials.trial import Trial, load_trial, save_trial
from pretrain.config import PretrainConfig
from pretrain.model.checkpoint import save_checkpoint
from pretrain.run import run_pretraining
from pretrain.train.replicas import Replicas
from stackbert.core.artifact import build_artifact
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS, NOISE, WITHOUT_BASELINES, load_splits
from tests.pages import browser_page
from tests.pretrain.bases import base_with_weights
from tests.pretrain.tiny import tiny_checkpoint


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


def test_finished_comparison_is_not_made_again(finished, labelled, checkpoints, config, monkeypatch):
    monkeypatch.setattr("finetune.compare.compare.TrialRunner", None)
    compare(labelled, checkpoints, finished, config)


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


def test_precision_of_the_earlier_comparison_is_adopted_with_its_trials(tmp_path):
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "precision.json").write_text('"bfloat16"')
    resolved = _with_precision(FinetuneConfig(), tmp_path / "precision.json", [str(tmp_path / "earlier")], Replicas())
    assert resolved.precision == "bfloat16"
    given = FinetuneConfig(precision="float32")
    given = _with_precision(given, tmp_path / "given.json", [str(tmp_path / "earlier")], Replicas())
    assert given.precision == "float32"


def test_trials_of_an_earlier_comparison_are_reused(
    finished, labelled, checkpoints, config, tmp_path, monkeypatch, capsys
):
    made: list[str] = []
    monkeypatch.setattr(
        trial_runner, "save_trial", lambda folder, trial: made.append(folder.name) or save_trial(folder, trial)
    )
    another = replace(config, title="Other", seeds=(0, 1, 2), **WITHOUT_BASELINES)
    compare(labelled, {"renamed": checkpoints["generic"]}, tmp_path / "out", replace(another, reuse=(str(finished),)))
    assert made == ["seed-2"]
    assert "2 of 3 trials reused" in capsys.readouterr().err
    for seed in ("seed-0", "seed-1"):
        now = tmp_path / "out" / "trials" / "renamed" / seed / "test.npy"
        assert now.read_bytes() == (finished / "trials" / "generic" / seed / "test.npy").read_bytes()
    assert load_bundle(tmp_path / "out" / "models" / "renamed").labels == list(LABELS)
    compare(labelled, {"renamed": checkpoints["generic"]}, tmp_path / "out", another)  # `reuse` is not in the manifest
    assert made == ["seed-2"]


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.parametrize("before_the_first_is_saved", [True, False])
def test_interrupted_comparison_continues_with_the_missing_trials(
    before_the_first_is_saved, finished, labelled, checkpoints, config, tmp_path, monkeypatch
):
    generic = {"generic": checkpoints["generic"]}
    saved: list[Path] = []

    def save(folder: Path, trial: Trial) -> None:
        saved.append(folder)
        save_trial(folder, trial)

    def save_or_die(folder: Path, trial: Trial) -> None:
        if not before_the_first_is_saved:
            save(folder, trial)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(trial_runner, "save_trial", save_or_die)
        with pytest.raises(KilledError):
            compare(labelled, generic, tmp_path / "out", replace(config, **WITHOUT_BASELINES))
    assert not (tmp_path / "out").exists()
    assert len(saved) == (0 if before_the_first_is_saved else 1)
    monkeypatch.setattr(trial_runner, "save_trial", save)
    compare(labelled, generic, tmp_path / "out", replace(config, **WITHOUT_BASELINES))
    assert len(saved) == len(set(saved)) == 2
    for name in ("generic/seed-0", "generic/seed-1"):
        one, two = (np.load(folder / "trials" / name / "test.npy") for folder in (finished, tmp_path / "out"))
        np.testing.assert_array_equal(one, two)


def test_features_are_computed_once_for_all_seeds_and_their_compilation_is_not_timed(
    labelled, tiny_base, config, tmp_path, monkeypatch
):
    compiled: list[bool] = []
    encode = FeatureStore.encode

    def noted(self, classifier, *args):
        compiled.append(bool(classifier._compiled))
        return encode(self, classifier, *args)

    monkeypatch.setattr(FeatureStore, "encode", noted)
    long = Path(shutil.copytree(labelled, tmp_path / "long", ignore=shutil.ignore_patterns("manifest.json")))
    for path in long.glob("*.parquet"):
        table = pd.read_parquet(path)
        table.assign(text=table["text"] + " " + table["text"] + " " + table["text"]).to_parquet(path)
    compare(long, {"one": str(tiny_base)}, tmp_path / "out", replace(config, **WITHOUT_BASELINES))
    assert compiled == [True] * 3  # train, dev and test
    (system,) = load_comparison(tmp_path / "out").systems
    assert system.share_cut == 1
    assert system.tokens_per_text > config.recipe.max_length


def test_comparison_does_not_retrace_functions(labelled, tiny_base, config, tmp_path, retracing_warnings):
    """Also a new tf.function for each seed counts as retracing."""
    settings = replace(config, recipe=replace(config.recipe, head_epochs=1), seeds=tuple(range(5)), **WITHOUT_BASELINES)
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", settings)
    assert retracing_warnings() == []


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


def test_gain_against_labels_has_a_point_for_each_size_and_for_all_texts(
    finished, labelled, tiny_base, config, tmp_path
):
    settings = replace(config, label_sizes=(120, 60), tfidf=False, baseline=VECTORS, seeds=(0,), reuse=(str(finished),))
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", settings)
    comparison = load_comparison(tmp_path / "out")
    assert [gain.name for gain in comparison.gain_against_labels] == [VECTORS, "generic"]
    for gain, system in zip(comparison.gain_against_labels, comparison.systems, strict=True):
        assert [point.texts for point in gain.points] == [60, 120, 240]
        assert gain.points[-1].weighted_f1 == system.metrics["weighted_f1"]
        assert gain.points[-1].phases == system.phases
        assert [point.phases.whole.weighted_f1 for point in gain.points] == [each.weighted_f1 for each in gain.points]
        assert gain.points[-1].against_baseline == system.against_baseline
        saved = [point.labels_saved for point in gain.points]
        assert all(each is None for each in saved) if gain.name == VECTORS else all(saved)
        found = [point.against_baseline for point in gain.points]
        assert all(each is None for each in found) if gain.name == VECTORS else all(found)
    assert [system.against_baseline is None for system in comparison.systems] == [True, False]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Gain from more labels or more pretraining" in page


def test_smaller_training_sets_are_subsets_of_larger_ones(labelled):
    task = Task(LABELS, load_splits(labelled))
    ids = [set(task.with_train_size(size).splits["train"].ids) for size in (10, 50)]
    assert [len(each) for each in ids] == [10, 50]
    assert ids[0] < ids[1] < set(task.splits["train"].ids)


def test_exported_checkpoints_are_points_of_the_gain_against_tokens(
    finished, labelled, tiny_base, small_rows, config, tmp_path
):
    run = PretrainConfig(
        base=str(tiny_base), extend_positions=True, steps=6, batch_rows=2, exports=1, evaluations=1, validation_rows=4
    )
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "adapted", run)
    checkpoints = {"generic": str(tiny_base), "adapted": str(tmp_path / "adapted")}
    settings = replace(config, include_exports=True, seeds=(0,), reuse=(str(finished),), **WITHOUT_BASELINES)
    compare(labelled, checkpoints, tmp_path / "out", settings)
    comparison = load_comparison(tmp_path / "out")
    (gain,) = comparison.gain_against_tokens
    assert gain.name == "adapted"
    tokens = [point.tokens for point in gain.points]
    assert tokens == [0, tokens[-1] // 2, tokens[-1]]
    assert [system.adapted_tokens for system in comparison.systems] == [None, tokens[-1]]
    ends = [point.weighted_f1 for point in (gain.points[0], gain.points[-1])]
    assert ends == [system.metrics["weighted_f1"] for system in comparison.systems]
    assert [point.against_baseline is None for point in gain.points] == [True, False, False]


def test_exported_checkpoints_come_in_order_of_their_steps(tmp_path):
    for step in (10, 9, 100):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
    assert [path.name for path in exported_checkpoints(str(tmp_path))] == ["step-9", "step-10", "step-100"]
    assert exported_checkpoints("minilm") == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_report_opens_in_a_browser_without_an_error_or_overflow(width, finished):
    with browser_page(width) as (page, said):
        page.goto((finished / "report.html").as_uri())
        assert page.inner_text("h1")
        assert page.locator("img").count() > 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []


def published_roberta(folder: Path) -> Path:
    """A checkpoint with the files of published RoBERTa and CodeBERT checkpoints: vocab.json and merges.txt."""
    folder.mkdir()
    trained = ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        [" ".join(NOISE), *LABELS], vocab_size=320, special_tokens=specials, show_progress=False
    )
    checkpoint = tiny_checkpoint("roberta", vocab_size=trained.get_vocab_size())
    save_checkpoint(checkpoint, folder, folder)
    trained.save_model(str(folder))
    names = {"tokenizer_class": "RobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 18}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def published_distilbert(folder: Path, vocabulary: Path) -> Path:
    """A checkpoint with the files of published DistilBERT checkpoints: vocab.txt."""
    folder.mkdir()
    save_checkpoint(tiny_checkpoint("distilbert", vocab_size=120), folder, folder)
    (folder / "vocab.txt").write_bytes(vocabulary.read_bytes())
    names = {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True, "model_max_length": 20}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def test_layouts_of_other_families_go_through_the_whole_comparison(
    finished, labelled, small_rows, tiny_base, config, tmp_path
):
    checkpoints = {
        "bert": str(tiny_base),
        "roberta": str(published_roberta(tmp_path / "roberta")),
        "distilbert": str(published_distilbert(tmp_path / "distilbert", small_rows / "tokenizer" / "vocab.txt")),
        "xlm-roberta": str(base_with_weights("xlm_roberta", tmp_path / "xlm-roberta")),
        "electra": str(base_with_weights("electra", tmp_path / "electra")),
        "mpnet": str(base_with_weights("mpnet", tmp_path / "mpnet")),
    }
    one_seed = replace(config, seeds=(0,), reuse=(str(finished),), **WITHOUT_BASELINES)
    compare(labelled, checkpoints, tmp_path / "out", one_seed)
    assert [system.name for system in load_comparison(tmp_path / "out").systems] == list(checkpoints)
    for name in checkpoints:
        (labels,) = load_bundle(tmp_path / "out" / "models" / name).predict(["sort the rows of node.js"])
        assert {label.name for label in labels} == set(LABELS)


@pytest.mark.parametrize(("counts", "tokens"), [({}, 80), ({"exported_step": 4}, 40)])
def test_the_last_checkpoint_stands_at_the_tokens_of_its_weights(counts, tokens, tmp_path):
    def train(folder: Path) -> dict[str, int]:
        points = [{"step": step, "tokens": 10 * step} for step in (0, 4, 8)]
        (folder / "history.json").write_text(json.dumps(points), "utf-8")
        return counts

    build_artifact(tmp_path / "run", "pretrain run", {}, {}, train)
    assert _exported_tokens(System("adapted", "checkpoint", str(tmp_path / "run"))) == tokens
