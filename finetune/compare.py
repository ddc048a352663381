"""Several checkpoints, one recipe, the same data and seeds: the table, and what it says."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpora.artifact import MANIFEST, Manifest, build_artifact, identify, require_artifact, write_json
from corpora.errors import StackbertError
from corpora.labelled import label_names, license_counts, load_labelled
from finetune.cells import SPLITS, Cell, Task, load_for, run_baseline, run_checkpoint
from finetune.config import CompareConfig, FinetuneConfig
from finetune.gains import gain_against_labels, gain_against_tokens
from finetune.report import table_text, write_report
from finetune.results import comparison_of
from finetune.rows import Row, rows_of
from pretrain.bases import resolve_base
from pretrain.device import choose_dtype


def compare(labels: Path, checkpoints: Mapping[str, str], out: Path, config: CompareConfig) -> Manifest:
    """Fine-tune each of `checkpoints` (row name -> folder, hub id or 'minilm') and write the comparison.

    `labels` is a labelled set. `out` receives `comparison.json`, `.md`, `report.html`, one folder a cell, and in
    `models/` the first seed's classifier of each row. An interrupted comparison goes on with the missing cells.
    """
    if not labels.is_dir() or (labels / MANIFEST).exists():  # a set made by hand has no manifest
        require_artifact(labels, "corpora label")
    config = replace(config, baseline=config.baseline or next(iter(checkpoints), ""))
    check_rows(checkpoints, config)
    inputs: dict[str, Path | str] = {"labels": labels}
    inputs |= {f"row {name}": identify(resolve_base(checkpoint)) for name, checkpoint in checkpoints.items()}
    manifest = build_artifact(
        out,
        "finetune compare",
        config,
        inputs,
        lambda folder: _compare(labels, checkpoints, folder, config, inputs),
        resumable=True,
    )
    print(table_text(json.loads((out / "comparison.json").read_text("utf-8"))))
    print(f"report: {out / 'report.html'}")
    return manifest


def check_rows(checkpoints: Mapping[str, str], config: CompareConfig) -> None:
    """Raise StackbertError for what would fail later: baseline, names, a checkpoint that does not fit the recipe."""
    baseline = config.baseline or next(iter(checkpoints), "")
    if baseline not in checkpoints:
        raise StackbertError(f"baseline {baseline!r} is not among the rows: {', '.join(checkpoints) or 'none given'}")
    rows_of(checkpoints, config)
    for checkpoint in checkpoints.values():
        load_for(checkpoint, config.recipe)


def _compare(
    labels: Path,
    checkpoints: Mapping[str, str],
    folder: Path,
    config: CompareConfig,
    inputs: Mapping[str, Path | str],
) -> dict[str, Any]:
    config = replace(config, recipe=_with_precision(config.recipe, folder / "precision.json"))
    splits = {split: load_labelled(labels, split) for split in SPLITS}
    task = Task(label_names(labels), splits, license_counts(labels, "train"))
    rows = rows_of(checkpoints, config)

    def cells_of(row: Row, on: Task, place: Path, bundle: Path | None = None) -> list[Cell]:
        on, seeds = on.cleaned() if row.cleaned else on, row.seeds(config)
        places = [place / f"seed-{seed}" for seed in seeds]
        if row.kind == "encoder":
            return list(run_checkpoint(row.checkpoint, on, config.recipe, seeds, places, bundle))
        return [
            run_baseline(row, on, config.recipe.thresholds, seed, at) for seed, at in zip(seeds, places, strict=True)
        ]

    cells = {}
    for row in rows:
        print(f"{row.name}" + (f" ({row.checkpoint}), {len(config.seeds)} seeds" if row.checkpoint else ""), flush=True)
        cells[row.name] = cells_of(row, task, row.folder(folder / "cells"), row.folder(folder / "models"))
    comparison = comparison_of(task, rows, cells, config)
    comparison["gain_against_labels"] = gain_against_labels(rows, cells, task, config, folder / "labels", cells_of)
    comparison["gain_against_tokens"] = (
        gain_against_tokens(rows, cells, task, folder / "along", cells_of) if config.along else []
    )
    comparison["made_from"] = {name: str(value) for name, value in inputs.items() if isinstance(value, str)}
    comparison["made_from"]["labels"] = identify(labels)
    write_json(folder / "comparison.json", comparison)
    write_report(comparison, folder)
    return {"rows": len(cells), "seeds": len(config.seeds), "verdict": comparison["verdict"]}


def _with_precision(recipe: FinetuneConfig, path: Path) -> FinetuneConfig:
    """The recipe with 'auto' decided: once for all rows, and kept in `path` for a comparison that goes on."""
    if not path.is_file():
        write_json(path, choose_dtype(recipe.precision).name)
    return replace(recipe, precision=json.loads(path.read_text("utf-8")))
