"""Reuse of trials from earlier comparisons, where everything they depend on is the same."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from finetune.config import FinetuneConfig
from finetune.trials.trial import SUMMARY_FILE, Trial, TrialSpec, load_summary, load_trial, save_trial
from stackbert.core.errors import require

METHOD = "head on standardized features"
"""Named anew where the same recipe gives other results than in an earlier version."""


def trial_key(subject: str, recipe: FinetuneConfig, labels: str, cleaned: bool, train_texts: int, seed: int) -> str:
    """sha256 of everything a trial depends on.

    `subject` is the identity of the checkpoint, or the name of a system without one; `labels` is the identity of the
    labelled set.
    """
    parts = [METHOD, subject, dataclasses.asdict(recipe), labels, cleaned, train_texts, seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def earlier_file(folders: Sequence[Path], name: str) -> Path | None:
    """The file `name` of the first earlier comparison that has it; None if none does."""
    paths = (root / name for folder in folders for root in _roots(folder))
    return next((path for path in paths if path.is_file()), None)


class EarlierTrials:
    """Finished trials in the output folders of earlier comparisons, also of interrupted ones.

    Raises StackbertError naming the first folder without a finished trial.
    """

    def __init__(self, folders: Sequence[Path]):
        self._trials: dict[str, Path] = {}
        self._models: dict[str, Path] = {}
        for folder in folders:
            self._index(folder)

    def add(self, key: str, folder: Path, model_folder: Path | None) -> None:
        """Reuse the trial in `folder`, too, and the classifier in `model_folder` if given."""
        self._trials.setdefault(key, folder)
        if model_folder:
            self._models.setdefault(key, model_folder)

    def reuse(self, spec: TrialSpec, model_folder: Path | None) -> bool:
        """Copy the trial with the key of `spec` to its folder, and its classifier to `model_folder` if given.

        Returns whether there is such a trial, with a classifier if one is needed.
        """
        if spec.key not in self._trials or (model_folder is not None and spec.key not in self._models):
            return False
        if model_folder is not None:
            shutil.rmtree(model_folder, ignore_errors=True)  # may be incomplete, from an interrupted comparison
            shutil.copytree(self._models[spec.key], model_folder)
        found = load_trial(self._trials[spec.key])
        assert found is not None
        summary = dataclasses.replace(found.summary, bundle=model_folder is not None)
        save_trial(spec.folder, Trial(summary, found.test_NL))
        return True

    def _index(self, folder: Path) -> None:
        found = [(root, path) for root in _roots(folder) for path in sorted(root.rglob(SUMMARY_FILE))]
        require(bool(found), f"{folder}: holds no finished trial to reuse; name the output of an earlier comparison")
        for root, path in found:
            summary, model = load_summary(path), root / "models" / path.parent.parent.name
            has_model = summary.bundle and model.is_dir()
            if summary.key not in self._trials or (has_model and summary.key not in self._models):
                self._trials[summary.key] = path.parent
                if has_model:
                    self._models[summary.key] = model


def _roots(folder: Path) -> tuple[Path, Path]:
    """The folder of a finished comparison and that of an interrupted one."""
    return folder, folder.with_name(folder.name + ".partial")
