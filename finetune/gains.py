"""What more labelled texts, or more pretraining, bring: the same fine-tuning at several amounts of either."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.cells import Cell, Task
from finetune.config import CompareConfig
from finetune.rows import Row
from finetune.significance import summarize
from pretrain.run import CHECKPOINTS

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
    """Weighted F1 of each row at each of `label_sizes` and, last, on all training texts (`cells`)."""
    total = len(task.splits["train"].texts)
    found: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows} if config.label_sizes else {}
    for size in sorted(config.label_sizes):
        part = task.smaller(size)
        for row in rows:
            print(f"{row.name}, {size:,} training texts", flush=True)
            made = cells_of(row, part, row.folder(folder / str(size)))
            found[row.name].append({"texts": size} | _weighted_f1(made))
    return [
        {"name": name, "points": [*points, {"texts": total} | _weighted_f1(cells[name])]}
        for name, points in found.items()
    ]


def gain_against_tokens(
    rows: Sequence[Row], cells: Mapping[str, list[Cell]], task: Task, folder: Path, cells_of: CellsOf
) -> list[dict[str, Any]]:
    """Weighted F1 of the checkpoints that each row's pretraining kept along its run and, last, of its end (`cells`)."""
    found = []
    for row in rows:
        kept = kept_along(row.checkpoint) if row.checkpoint else []
        if not kept:
            continue
        end = json.loads((Path(row.checkpoint) / "history.json").read_text("utf-8"))[-1]
        points = []
        for checkpoint in kept:
            print(f"{row.name}, {checkpoint.name}", flush=True)
            made = cells_of(replace(row, checkpoint=str(checkpoint)), task, row.folder(folder) / checkpoint.name)
            points.append({"tokens": end["tokens"] * _step_of(checkpoint) // end["step"]} | _weighted_f1(made))
        points.append({"tokens": end["tokens"]} | _weighted_f1(cells[row.name]))
        found.append({"name": row.name, "points": points})
    return found


def kept_along(checkpoint: str) -> list[Path]:
    """What the pretraining of `checkpoint` exported along its run, in its order; nothing for other checkpoints."""
    return sorted((Path(checkpoint) / CHECKPOINTS).glob("step-*"), key=_step_of)


def _weighted_f1(cells: Sequence[Cell]) -> dict[str, Any]:
    return {"weighted_f1": summarize([cell.summary["phases"]["whole"]["weighted_f1"] for cell in cells])}


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
