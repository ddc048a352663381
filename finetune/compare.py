"""Several checkpoints, one recipe, the same data and seeds: the table, and what it says."""

# N questions, L labels

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from corpora.artifact import MANIFEST, Manifest, build_artifact, identify, load_manifest, require_artifact, write_json
from corpora.errors import StackbertError
from corpora.labelled import label_names, load_labelled
from finetune.cells import SPLITS, Cell, Task, load_cell, load_for, run_checkpoint, run_linear
from finetune.config import CompareConfig, FinetuneConfig
from finetune.metrics import DEFINITIONS, per_label
from finetune.report import table_text, write_report
from finetune.significance import compare_weighted_f1, summarize
from pretrain.bases import resolve_base
from pretrain.device import choose_dtype
from tokenizer.reader import load_reader

LINEAR = "TF-IDF + logistic regression"
EXAMPLES = 4


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


def _compare(
    labels: Path,
    checkpoints: Mapping[str, str],
    folder: Path,
    config: CompareConfig,
    inputs: Mapping[str, Path | str],
) -> dict[str, Any]:
    config = replace(config, recipe=_with_precision(config.recipe, folder / "precision.json"))
    task = Task(label_names(labels), {split: load_labelled(labels, split) for split in SPLITS})
    cells: dict[str, list[Cell]] = {}
    if config.tfidf:
        print(LINEAR)
        place = folder / "cells" / _slug(LINEAR)
        cells[LINEAR] = [load_cell(place) or run_linear(task, place)]
    for name, checkpoint in checkpoints.items():
        print(f"{name} ({checkpoint}), {len(config.seeds)} seeds")
        places = [folder / "cells" / _slug(name) / f"seed-{seed}" for seed in config.seeds]
        bundle = folder / "models" / _slug(name)
        cells[name] = list(run_checkpoint(checkpoint, task, config.recipe, config.seeds, places, bundle))
    comparison = _comparison(task, checkpoints, cells, config)
    comparison["made_from"] = {name: str(value) for name, value in inputs.items() if isinstance(value, str)}
    comparison["made_from"]["labels"] = identify(labels)
    write_json(folder / "comparison.json", comparison)
    write_report(comparison, folder)
    return {"rows": len(cells), "seeds": len(config.seeds), "verdict": comparison["verdict"]}


def _comparison(
    task: Task, checkpoints: Mapping[str, str], cells: Mapping[str, list[Cell]], config: CompareConfig
) -> dict[str, Any]:
    baseline = config.baseline
    rows = [
        _row(name, checkpoints.get(name), found, cells[baseline], task, baseline, config)
        for name, found in cells.items()
    ]
    return {
        "title": config.title or "Comparison of encoders",
        "verdict": verdict(rows, baseline),
        "data": {
            "labels": task.labels,
            **{name: len(split.texts) for name, split in task.splits.items()},
            "labels_per_text": float(task.splits["test"].targets.sum(1).mean()),
        },
        "recipe": dataclasses.asdict(config.recipe),
        "seeds": list(config.seeds),
        "baseline": baseline,
        "rows": rows,
        "pretraining": [
            {"name": name, "curve": json.loads((Path(source) / "history.json").read_text("utf-8"))}
            for name, source in checkpoints.items()
            if (Path(source) / MANIFEST).is_file() and load_manifest(Path(source)).stage == "pretrain run"
        ],
        "examples": _examples(task, checkpoints),
        "definitions": DEFINITIONS,
    }


def _row(
    name: str,
    checkpoint: str | None,
    cells: list[Cell],
    baseline_cells: list[Cell],
    task: Task,
    baseline: str,
    config: CompareConfig,
) -> dict[str, Any]:
    targets_NL = task.splits["test"].targets
    metrics = {key: summarize([cell.summary["phases"]["whole"][key] for cell in cells]) for key in DEFINITIONS}
    shown = ("val_acc", "weighted_f1")
    heads = [cell.summary["phases"]["head"] for cell in cells]
    curves = [cell.summary["curves"] for cell in cells]
    cost = cells[0].summary["cost"]
    difference = None
    if name != baseline:
        ours, theirs = ([(cell.test_NL, cell.threshold) for cell in side] for side in (cells, baseline_cells))
        difference = compare_weighted_f1(targets_NL, ours, theirs, config.resamples)
    return {
        "name": name,
        "kind": "encoder" if checkpoint else "linear",
        "checkpoint": checkpoint or "scikit-learn",
        "parameters": cost["parameters"],
        "vocab_size": cost["vocab_size"],
        "tokens_per_text": cost.get("tokens_per_text"),
        "share_cut": cost.get("share_cut"),
        "phases": {
            "head": {key: summarize([head[key] for head in heads]) for key in shown} if heads[0] else None,
            "whole": {key: metrics[key] for key in shown},
        },
        "metrics": metrics,
        "thresholds": [cell.threshold for cell in cells],
        "per_label": _mean_per_label(targets_NL, cells, task.labels),
        "curves": [{"seed": seed, **curve} for seed, curve in zip(config.seeds, curves, strict=False) if curve],
        "seconds": {
            key: float(np.mean([cell.summary["seconds"][key] for cell in cells])) for key in cells[0].summary["seconds"]
        },
        "texts_per_second": cost.get("texts_per_second"),
        "against_baseline": difference,
    }


def verdict(rows: list[dict[str, Any]], baseline: str) -> str:
    """Whether any checkpoint is better than the baseline, in weighted F1 after fine-tuning, and whether TF-IDF is."""
    linear = next((row for row in rows if row["kind"] == "linear"), None)
    said = _verdict_on_encoders(rows, baseline)
    if linear is None or linear["against_baseline"]["verdict"] != "better":
        return said
    points = f"{100 * linear['against_baseline']['difference']:+.1f} points"
    return f"{said} {linear['name']} is better than {baseline} ({points})."


def _verdict_on_encoders(rows: list[dict[str, Any]], baseline: str) -> str:
    others = [row for row in rows if row["kind"] == "encoder" and row["against_baseline"]]
    if not others:
        return f"Only {baseline} was fine-tuned, so there is nothing to compare it with."
    better = [row for row in others if row["against_baseline"]["verdict"] == "better"]
    best = max(better or others, key=lambda row: row["against_baseline"]["difference"])
    found = best["against_baseline"]
    difference, low, high = (f"{100 * found[key]:+.1f}" for key in ("difference", "low", "high"))
    points = f"{difference} points of weighted F1, 95 % interval {low} to {high}"
    if found["verdict"] == "better":
        return f"{best['name']} is better than {baseline}: {points}."
    if found["verdict"] == "worse":
        return f"Nothing is better than {baseline}; the nearest, {best['name']}, is worse: {points}."
    return f"No gain is shown over {baseline}: the best of the others, {best['name']}, makes no difference ({points})."


def _mean_per_label(targets_NL: np.ndarray, cells: list[Cell], names: tuple[str, ...]) -> list[dict[str, Any]]:
    tables = [per_label(targets_NL, cell.test_NL, cell.threshold, names) for cell in cells]
    return [
        entries[0] | {key: float(np.mean([entry[key] for entry in entries])) for key in ("precision", "recall", "f1")}
        for entries in zip(*tables, strict=True)
    ]


def _examples(task: Task, checkpoints: Mapping[str, str]) -> list[dict[str, Any]]:
    """The first test texts as each vocabulary splits them."""
    texts = [" ".join(text.split())[:160] for text in task.splits["test"].texts[:EXAMPLES]]
    readers = {name: load_reader(resolve_base(source)) for name, source in checkpoints.items()}
    return [
        {
            "text": text,
            "tokens": {
                name: reader.tokenizer.encode(text, add_special_tokens=False).tokens for name, reader in readers.items()
            },
        }
        for text in texts
    ]


def check_rows(checkpoints: Mapping[str, str], config: CompareConfig) -> None:
    """Raise StackbertError for what would fail later: baseline, names, a checkpoint that does not fit the recipe."""
    baseline = config.baseline or next(iter(checkpoints), "")
    if baseline not in checkpoints:
        raise StackbertError(f"baseline {baseline!r} is not among the rows: {', '.join(checkpoints) or 'none given'}")
    _check_names([*checkpoints, *([LINEAR] if config.tfidf else [])])
    for checkpoint in checkpoints.values():
        load_for(checkpoint, config.recipe)


def _with_precision(recipe: FinetuneConfig, path: Path) -> FinetuneConfig:
    """The recipe with 'auto' decided: once for all rows, and kept in `path` for a comparison that goes on."""
    if not path.is_file():
        write_json(path, choose_dtype(recipe.precision).name)
    return replace(recipe, precision=json.loads(path.read_text("utf-8")))


def _check_names(names: list[str]) -> None:
    """Raise StackbertError where two rows would share a folder."""
    places: dict[str, str] = {}
    for name in names:
        other = places.setdefault(_slug(name), name)
        if other != name or names.count(name) > 1:
            raise StackbertError(f"rows {other!r} and {name!r} differ in punctuation or case only; rename one")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "row"
