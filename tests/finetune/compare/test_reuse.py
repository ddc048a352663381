"""What a comparison does not do again: finished, reused and continued trials, features of all seeds."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from finetune.compare.compare import _with_precision, compare
from finetune.compare.comparison import load_comparison
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import load_bundle
from finetune.train.features import FeatureStore
from finetune.trials import trial_runner
from finetune.trials.trial import Trial, save_trial
from pretrain.train.replicas import Replicas
from tests.finetune.questions import LABELS, WITHOUT_BASELINES


def test_finished_comparison_is_not_made_again(finished, labelled, checkpoints, config, monkeypatch):
    monkeypatch.setattr("finetune.compare.compare.TrialRunner", None)
    compare(labelled, checkpoints, finished, config)


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
