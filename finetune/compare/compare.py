"""Several checkpoints, one recipe, the same data and seeds: the table, and what it says."""

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpora.labels.labelled_set import label_names, license_counts, load_labelled
from finetune.compare.gains import gain_against_labels, gain_against_tokens, kept_along
from finetune.compare.report import table_text, write_report
from finetune.compare.results import comparison_of
from finetune.compare.reuse import EarlierCells, cell_key, earlier_file
from finetune.compare.systems import Row, rows_of
from finetune.compare.trials import SPLITS, Cell, Place, Task, load_cell, load_for, run_baseline, run_checkpoint
from finetune.config import RUN_FIELDS, CompareConfig, FinetuneConfig
from pretrain.train.device import choose_dtype
from stackbert.core.artifact import MANIFEST, Manifest, build_artifact, identify, require_artifact, versions, write_json
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError, require

PRECISION = "precision.json"
SAID_APART = ("recipe", "seeds", "title", *RUN_FIELDS)
"""Of CompareConfig: what is no setting, or stands by itself in a comparison."""


def compare(labels: Path, checkpoints: Mapping[str, str], out: Path, config: CompareConfig) -> Manifest:
    """Fine-tune each of `checkpoints` (row name -> folder, hub id or 'minilm') and write the comparison.

    `labels` is a labelled set. `out` receives `comparison.json`, `.md`, `report.html`, one folder a cell, and in
    `models/` the first seed's classifier of each row that reads texts as they are. An interrupted comparison goes on
    with the missing cells; others take them over with `config.reuse`.
    """
    if not labels.is_dir() or (labels / MANIFEST).exists():  # a set made by hand has no manifest
        require_artifact(labels, "corpora label")
    require(bool(checkpoints), "checkpoints: none given; name one or more")
    config = replace(config, baseline=config.baseline or next(iter(checkpoints)))
    check_rows(checkpoints, config)
    task = load_task(labels, config)
    inputs = {"labels": identify(labels)}
    inputs |= {f"row {name}": identify(resolve_base(checkpoint)) for name, checkpoint in checkpoints.items()}
    manifest = build_artifact(
        out,
        "finetune compare",
        config.recorded,
        inputs,
        lambda folder: _compare(task, checkpoints, folder, config, inputs),
        resumable=True,
    )
    print(table_text(json.loads((out / "comparison.json").read_text("utf-8"))))
    print(f"report: {out / 'report.html'}")
    return manifest


def check_rows(
    checkpoints: Mapping[str, str], config: CompareConfig, to_come: Sequence[str] = (), exports: int = 0
) -> None:
    """Raise StackbertError for what would fail later: baseline, names, a checkpoint that does not fit the recipe.

    `to_come` are the names of rows whose checkpoints are not made yet, with so many `exports` along their runs.
    """
    rows_of({**checkpoints, **dict.fromkeys(to_come, "")}, config)
    for checkpoint in checkpoints.values():
        load_for(checkpoint, config.recipe)
    require(
        not config.include_exports or exports > 0 or any(kept_along(checkpoint) for checkpoint in checkpoints.values()),
        "include_exports: no checkpoint has others kept along its run; pretrain one with --exports",
    )


def load_task(labels: Path, config: CompareConfig) -> Task:
    """The labelled set; raises StackbertError where it is too small to compare anything on."""
    splits = {split: load_labelled(labels, split) for split in SPLITS}
    task = Task(label_names(labels), splits, license_counts(labels, "train"))
    require(
        len(task.labels) > 1,
        f"{labels}: holds one label; give two or more, as val_acc and the ranks of labels say nothing of one",
    )
    for one, other in itertools.combinations(SPLITS, 2):
        if shared := {*splits[one].ids} & {*splits[other].ids} - {None}:
            raise StackbertError(
                f"{labels}: {len(shared):,} ids of {one} are in {other} too, such as {min(shared)}: give each text to "
                "one split, as figures on texts that were seen before say nothing"
            )
    total = len(splits["train"].texts)
    too_large = [size for size in config.label_sizes if size >= total]
    require(not too_large, f"label_sizes {too_large}: must be below {total:,}, the training texts there are")
    return task


def _compare(
    task: Task, checkpoints: Mapping[str, str], folder: Path, config: CompareConfig, inputs: Mapping[str, str]
) -> dict[str, Any]:
    config = replace(config, recipe=_with_precision(config.recipe, folder / PRECISION, config.reuse))
    earlier = EarlierCells([Path(each) for each in config.reuse]) if config.reuse else None
    rows = rows_of(checkpoints, config)

    def cells_of(row: Row, on: Task, parent: Path, bundle: Path | None = None) -> list[Cell]:
        subject = identify(resolve_base(row.checkpoint)) if row.checkpoint else row.name
        known = (subject, config.recipe, inputs["labels"], row.cleaned, len(on.splits["train"].texts))
        places = [Place(parent / f"seed-{seed}", seed, cell_key(*known, seed)) for seed in row.seeds(config)]
        if earlier:
            _take_over(earlier, places, bundle)
        on = on.cleaned() if row.cleaned else on
        if row.kind == "encoder":
            return list(run_checkpoint(row.checkpoint, on, config.recipe, places, bundle))
        return [run_baseline(row, on, config.recipe.thresholds, place) for place in places]

    cells = {}
    for row in rows:
        print(f"{row.name}" + (f" ({row.checkpoint}), {len(config.seeds)} seeds" if row.checkpoint else ""), flush=True)
        keeps_model = row.kind == "encoder" and not row.cleaned  # a classifier is given texts as they are
        bundle = row.folder(folder / "models") if keeps_model else None
        cells[row.name] = cells_of(row, task, row.folder(folder / "cells"), bundle)
    comparison = comparison_of(task, rows, cells, config)
    identities = {checkpoint: inputs[f"row {name}"] for name, checkpoint in checkpoints.items()}
    comparison["gain_against_labels"] = gain_against_labels(rows, cells, task, config, folder / "labels", cells_of)
    comparison["gain_against_tokens"] = (
        gain_against_tokens(rows, cells, task, config, folder / "along", cells_of, identities)
        if config.include_exports
        else []
    )
    comparison["settings"] = {name: value for name, value in vars(config).items() if name not in SAID_APART}
    comparison["made_from"], comparison["versions"] = dict(inputs), versions()
    write_json(folder / "comparison.json", comparison)
    write_report(comparison, folder)
    return {"rows": len(cells), "seeds": len(config.seeds), "verdict": comparison["verdict"]}


def _take_over(earlier: EarlierCells, places: list[Place], bundle: Path | None) -> None:
    """Fill the places that are empty from an earlier comparison, and say how many."""
    empty = [place for place in places if load_cell(place.folder) is None]
    taken = [earlier.take_over(p.key, p.folder, bundle if p == places[0] else None) for p in empty]
    print(f"  {sum(taken)} of {len(empty)} cells taken over", file=sys.stderr)


def _with_precision(recipe: FinetuneConfig, path: Path, reuse: Sequence[str]) -> FinetuneConfig:
    """The recipe with 'auto' decided: once for all rows, and kept in `path` for a comparison that goes on.

    As the earlier comparison decided it whose cells are to be reused: of another precision, none could be.
    """
    if not path.is_file():
        earlier = earlier_file([Path(each) for each in reuse], PRECISION) if recipe.precision == "auto" else None
        write_json(path, json.loads(earlier.read_text("utf-8")) if earlier else choose_dtype(recipe.precision).name)
    return replace(recipe, precision=json.loads(path.read_text("utf-8")))
