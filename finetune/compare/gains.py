"""What more labelled texts, or more pretraining, bring: the same fine-tuning at several amounts of either."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.compare.results import against
from finetune.compare.systems import Row
from finetune.compare.trials import Cell, Task
from finetune.config import CompareConfig
from finetune.metrics.significance import summarize
from stackbert.core.artifact import load_manifest
from stackbert.core.checkpoints import CHECKPOINTS

CellsOf = Callable[[Row, Task, Path], list[Cell]]
"""Makes the cells of a row on a task, kept in a folder; one a seed."""


def gain_against_labels(
    rows: Sequence[Row],
    cells: Mapping[str, list[Cell]],
    task: Task,
    config: CompareConfig,
    folder: Path,
    cells_of: CellsOf,
) -> list[dict[str, Any]]:
    """Each row at each of `label_sizes` and, last, on all training texts (`cells`), beside the baseline there."""
    if not config.label_sizes:
        return []
    made: dict[int, Mapping[str, list[Cell]]] = {}
    for size in sorted(config.label_sizes):
        part, of_size = task.smaller(size), {}
        for row in rows:
            print(f"{row.name}, {size:,} training texts", flush=True)
            of_size[row.name] = cells_of(row, part, row.folder(folder / str(size)))
        made[size] = of_size
    made[len(task.splits["train"].texts)] = cells
    return [
        {
            "name": row.name,
            "points": [
                {"texts": size} | _point(of_size[row.name], of_size[config.baseline], task, config)
                for size, of_size in made.items()
            ],
        }
        for row in rows
    ]


def gain_against_tokens(
    rows: Sequence[Row],
    cells: Mapping[str, list[Cell]],
    task: Task,
    config: CompareConfig,
    folder: Path,
    cells_of: CellsOf,
    identities: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The checkpoints that each row's pretraining kept along its run and, last, its end (`cells`), beside the baseline.

    First, at no tokens, stands the base as it is, where it is one of the rows: `identities` of checkpoints tell which
    one the pretraining's manifest names.
    """
    found = []
    for row in rows:
        kept = kept_along(row.checkpoint) if row.checkpoint else []
        if not kept:
            continue
        end = json.loads((Path(row.checkpoint) / "history.json").read_text("utf-8"))[-1]
        made: dict[int, list[Cell]] = {}
        base = load_manifest(Path(row.checkpoint)).inputs.get("base")
        for other in rows:
            if base and identities.get(other.checkpoint) == base and other.cleaned == row.cleaned:
                made[0] = cells[other.name]
        for checkpoint in kept:
            print(f"{row.name}, {checkpoint.name}", flush=True)
            along = cells_of(replace(row, checkpoint=str(checkpoint)), task, row.folder(folder) / checkpoint.name)
            made[end["tokens"] * _step_of(checkpoint) // end["step"]] = along
        made[end["tokens"]] = cells[row.name]
        points = [
            {"tokens": tokens} | _point(own, cells[config.baseline], task, config) for tokens, own in made.items()
        ]
        found.append({"name": row.name, "points": points})
    return found


def kept_along(checkpoint: str) -> list[Path]:
    """What the pretraining of `checkpoint` exported along its run, in its order; nothing for other checkpoints."""
    return sorted((Path(checkpoint) / CHECKPOINTS).glob("step-*"), key=_step_of)


def _point(own: list[Cell], baseline: list[Cell], task: Task, config: CompareConfig) -> dict[str, Any]:
    return {
        "weighted_f1": summarize([cell.summary["phases"]["whole"]["weighted_f1"] for cell in own]),
        "against_baseline": against(own, baseline, task, config),
    }


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
