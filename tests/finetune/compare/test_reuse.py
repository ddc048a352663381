"""Cells of an earlier comparison, taken over or not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.compare.reuse import EarlierCells, cell_key, earlier_file
from finetune.compare.trials import load_cell
from finetune.config import FinetuneConfig
from stackbert.core.errors import StackbertError

PARTS = ("checkpoint", FinetuneConfig(), "labels", False, 100, 0)


def made(root: Path, row: str, seed: int, bundle: bool) -> None:
    """What a comparison leaves of one cell whose key is "row seed"."""
    folder = root / "cells" / row / f"seed-{seed}"
    folder.mkdir(parents=True)
    np.save(folder / "test.npy", np.full((2, 2), seed))
    (folder / "cell.json").write_text(json.dumps({"key": f"{row} {seed}", "bundle": bundle}))
    if bundle:
        (root / "models" / row).mkdir(parents=True)
        (root / "models" / row / "head.safetensors").write_text(row)


def test_key_is_another_where_anything_is():
    others = [("x", 0), (replace(PARTS[1], loss="focal"), 1), ("x", 2), (True, 3), (99, 4), (1, 5)]
    keys = {cell_key(*PARTS[:place], other, *PARTS[place + 1 :]) for other, place in others}
    assert len(keys | {cell_key(*PARTS)}) == 1 + len(others)


@pytest.mark.parametrize("folder", ["out", "out.partial"])
def test_cells_of_finished_and_stopped_comparisons_are_taken_over(folder, tmp_path):
    made(tmp_path / folder, "base", 0, bundle=True)
    made(tmp_path / folder, "base", 1, bundle=False)
    earlier, new = EarlierCells([tmp_path / "out"]), tmp_path / "new"
    assert earlier.take_over("base 0", new / "0", new / "model")
    assert earlier.take_over("base 1", new / "1", None)
    assert not earlier.take_over("base 2", new / "2", None)
    assert (load_cell(new / "0").test_NL == 0).all() and (load_cell(new / "1").test_NL == 1).all()
    assert load_cell(new / "0").summary["bundle"] and not load_cell(new / "1").summary["bundle"]
    assert (new / "model" / "head.safetensors").read_text() == "base"
    assert not (new / "2").exists()


def test_cell_whose_classifier_was_not_kept_is_made_again_where_one_is_wanted(tmp_path):
    made(tmp_path / "out", "base", 1, bundle=False)
    assert not EarlierCells([tmp_path / "out"]).take_over("base 1", tmp_path / "new", tmp_path / "model")
    assert not (tmp_path / "new").exists() and not (tmp_path / "model").exists()


def test_folder_without_a_cell_is_an_error(tmp_path):
    made(tmp_path / "other", "base", 0, bundle=False)
    with pytest.raises(StackbertError, match="out: holds no finished cell to reuse"):
        EarlierCells([tmp_path / "other", tmp_path / "out"])


def test_cells_of_several_comparisons_are_joined(tmp_path):
    for seed, machine in enumerate(("here", "there")):
        made(tmp_path / machine, "base", seed, bundle=seed == 0)
    made(tmp_path / "there", "base", 0, bundle=False)
    earlier = EarlierCells([tmp_path / "there", tmp_path / "here"])
    assert earlier.take_over("base 0", tmp_path / "first", tmp_path / "model")  # made twice, once with its classifier
    assert all(earlier.take_over(f"base {seed}", tmp_path / "new" / str(seed), None) for seed in (0, 1))
    assert earlier_file([tmp_path / "here", tmp_path / "there"], "cells/base/seed-1/cell.json")
