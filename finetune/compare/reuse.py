"""The cells of earlier comparisons, taken over where all that they depend on is the same."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from finetune.config import FinetuneConfig
from stackbert.core.artifact import write_json
from stackbert.core.errors import require


def cell_key(subject: str, recipe: FinetuneConfig, labels: str, cleaned: bool, train_texts: int, seed: int) -> str:
    """sha256 of what a cell depends on.

    `subject` is the identity of the checkpoint, or the name of a row without one; `labels` is that of the labelled set.
    """
    parts = [subject, dataclasses.asdict(recipe), labels, cleaned, train_texts, seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def earlier_file(folders: Sequence[Path], name: str) -> Path | None:
    """A file of the first earlier comparison, finished or stopped, that has it; None where none does."""
    places = (root / name for folder in folders for root in _roots(folder))
    return next((place for place in places if place.is_file()), None)


class EarlierCells:
    """What earlier comparisons left in their output folders, or beside them where they were stopped.

    Raises StackbertError naming the first folder in which no finished cell is found.
    """

    def __init__(self, folders: Sequence[Path]):
        self._cells: dict[str, Path] = {}
        self._models: dict[str, Path] = {}
        for folder in folders:
            self._find_in(folder)

    def take_over(self, key: str, folder: Path, bundle: Path | None) -> bool:
        """Copy the cell with that key to `folder` and, where `bundle` is given, its classifier there, if both are here.

        Returns whether they are. The summary comes last, as where a cell is made.
        """
        if key not in self._cells or (bundle is not None and key not in self._models):
            return False
        if bundle is not None:
            shutil.rmtree(bundle, ignore_errors=True)  # what a stopped comparison may have left half written
            shutil.copytree(self._models[key], bundle)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._cells[key] / "test.npy", folder / "test.npy")
        summary = json.loads((self._cells[key] / "cell.json").read_text("utf-8"))
        write_json(folder / "cell.json", summary | {"bundle": bundle is not None})
        return True

    def _find_in(self, folder: Path) -> None:
        found = [(root, path) for root in _roots(folder) for path in sorted(root.rglob("cell.json"))]
        require(bool(found), f"{folder}: holds no finished cell to reuse; name the output of an earlier comparison")
        for root, path in found:
            summary = json.loads(path.read_text("utf-8"))
            key, model = summary["key"], root / "models" / path.parent.parent.name
            has_model = summary["bundle"] and model.is_dir()
            if key not in self._cells or (has_model and key not in self._models):
                self._cells[key] = path.parent
                if has_model:
                    self._models[key] = model


def _roots(folder: Path) -> tuple[Path, Path]:
    return folder, folder.with_name(folder.name + ".partial")
