"""Reuse of trials from earlier comparisons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.config import FinetuneConfig
from finetune.trials.reuse import EarlierTrials, earlier_file, trial_key
from finetune.trials.trial import Cost, PhaseMetrics, Trial, TrialSpec, TrialSummary, load_trial, save_trial
from stackbert.core.errors import StackbertError

PARTS = ("checkpoint", FinetuneConfig(), "labels", False, 100, 0)


def make_trial(root: Path, system: str, seed: int, bundle: bool) -> None:
    """Write a trial with the key "system seed", and its classifier, as a comparison does."""
    phases = PhaseMetrics(head=None, whole={})
    summary = TrialSummary(phases, [0.5], None, {}, Cost(1, 1, 1.0, None), f"{system} {seed}", bundle)
    save_trial(root / "trials" / system / f"seed-{seed}", Trial(summary, np.full((2, 2), float(seed))))
    if bundle:
        (root / "models" / system).mkdir(parents=True)
        (root / "models" / system / "head.safetensors").write_text(system)


def spec(folder: Path, key: str) -> TrialSpec:
    return TrialSpec(folder, 0, key)


def test_key_changes_with_everything_a_trial_depends_on():
    others = [("x", 0), (replace(PARTS[1], loss="focal"), 1), ("x", 2), (True, 3), (99, 4), (1, 5)]
    keys = {trial_key(*PARTS[:index], other, *PARTS[index + 1 :]) for other, index in others}
    assert len(keys | {trial_key(*PARTS)}) == 1 + len(others)


@pytest.mark.parametrize("folder", ["out", "out.partial"])
def test_trials_of_finished_and_interrupted_comparisons_are_reused(folder, tmp_path):
    make_trial(tmp_path / folder, "base", 0, bundle=True)
    make_trial(tmp_path / folder, "base", 1, bundle=False)
    earlier, new = EarlierTrials([tmp_path / "out"]), tmp_path / "new"
    assert earlier.reuse(spec(new / "0", "base 0"), new / "model")
    assert earlier.reuse(spec(new / "1", "base 1"), None)
    assert not earlier.reuse(spec(new / "2", "base 2"), None)
    assert (load_trial(new / "0").test_NL == 0).all() and (load_trial(new / "1").test_NL == 1).all()
    assert load_trial(new / "0").summary.bundle and not load_trial(new / "1").summary.bundle
    assert (new / "model" / "head.safetensors").read_text() == "base"
    assert not (new / "2").exists()


def test_trial_without_a_classifier_is_not_reused_if_one_is_needed(tmp_path):
    make_trial(tmp_path / "out", "base", 1, bundle=False)
    earlier = EarlierTrials([tmp_path / "out"])
    assert not earlier.reuse(spec(tmp_path / "new", "base 1"), tmp_path / "model")
    assert not (tmp_path / "new").exists() and not (tmp_path / "model").exists()


def test_folder_without_a_trial_is_an_error(tmp_path):
    make_trial(tmp_path / "other", "base", 0, bundle=False)
    with pytest.raises(StackbertError, match="out: holds no finished trial to reuse"):
        EarlierTrials([tmp_path / "other", tmp_path / "out"])


def test_trials_of_several_comparisons_are_combined(tmp_path):
    for seed, machine in enumerate(("here", "there")):
        make_trial(tmp_path / machine, "base", seed, bundle=seed == 0)
    make_trial(tmp_path / "there", "base", 0, bundle=False)
    earlier = EarlierTrials([tmp_path / "there", tmp_path / "here"])
    assert earlier.reuse(spec(tmp_path / "first", "base 0"), tmp_path / "model")  # made twice, once with its classifier
    assert all(earlier.reuse(spec(tmp_path / "new" / str(seed), f"base {seed}"), None) for seed in (0, 1))
    assert earlier_file([tmp_path / "here", tmp_path / "there"], "trials/base/seed-1/trial.json")
