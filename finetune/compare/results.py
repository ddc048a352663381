"""What the cells of a comparison say together: the table, the verdict, and all that the report shows."""

# N questions, L labels

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.classifier.training import kept_epoch
from finetune.compare.systems import Row
from finetune.compare.trials import Cell, Task
from finetune.config import CompareConfig, FinetuneConfig
from finetune.metrics.diagnostics import calibration, worst_errors
from finetune.metrics.metrics import DEFINITIONS, per_label
from finetune.metrics.significance import compare_weighted_f1, summarize
from stackbert.core.artifact import MANIFEST, load_manifest
from stackbert.core.checkpoints import resolve_base
from tokenizer.encoding.reader import load_reader

EXAMPLES = 4
EXAMPLES_SOUGHT = 500
"""Test texts among which those are sought that the vocabularies split most differently."""
MANY_WITHOUT_LABEL = 0.25
"""Share of texts without a label from which on the verdict warns of it."""
COSTS = ("parameters", "disk", "memory", "vocab_size", "tokens_per_text", "share_cut", "texts_per_second")
SHOWN = ("val_acc", "weighted_f1")


def comparison_of(
    task: Task, rows: Sequence[Row], cells: Mapping[str, list[Cell]], config: CompareConfig
) -> dict[str, Any]:
    """The content of `comparison.json` but for the gains and what it was made from."""
    checkpoints = {row.name: row.checkpoint for row in rows if row.checkpoint and not row.cleaned}
    entries = [_entry(row, cells, task, config) for row in rows]
    return {
        "title": config.title or "Comparison of encoders",
        "verdict": verdict(entries, config.baseline),
        "warnings": [*warnings_of(entries, config.recipe), *_seen_before(task)],
        "data": {
            "labels": task.labels,
            **{name: len(split.texts) for name, split in task.splits.items()},
            "labels_per_text": float(task.splits["test"].targets.sum(1).mean()),
        },
        "recipe": dataclasses.asdict(config.recipe),
        "seeds": list(config.seeds),
        "baseline": config.baseline,
        "rows": entries,
        "pretraining": [
            {"name": name, "curve": json.loads((Path(source) / "history.json").read_text("utf-8"))}
            for name, source in checkpoints.items()
            if (Path(source) / MANIFEST).is_file() and load_manifest(Path(source)).stage == "pretrain run"
        ],
        "examples": _examples(task, checkpoints),
        "definitions": DEFINITIONS,
    }


def warnings_of(entries: Sequence[Mapping[str, Any]], recipe: FinetuneConfig) -> list[str]:
    """What a reader must know beside the verdict.

    Rows of which the last epoch that the recipe allows was the best for some seed, and those that leave many texts, or
    labels, without any prediction.
    """
    found = []
    rising = [
        entry["name"]
        for entry in entries
        if any(kept_epoch(curve["whole"], recipe.best_by)["epoch"] == recipe.epochs for curve in entry["curves"])
    ]
    if rising:
        found.append(f"Still gaining on dev in the last epoch, so that more may change the table: {', '.join(rising)}.")
    for entry in entries:
        share = entry["metrics"]["without_label"]["mean"]
        if share >= MANY_WITHOUT_LABEL:
            found.append(f"{entry['name']} gives no label at all to {100 * share:.0f} % of the test texts.")
        never = [each["label"] for each in entry["per_label"] if each["support"] and each["recall"] == 0]
        if never:
            found.append(f"{entry['name']} is never right about {len(never)} of the labels: {', '.join(never[:8])}.")
    return found


def _seen_before(task: Task) -> list[str]:
    """A warning of test texts that were there to learn or to tune from."""
    seen = {text for name in ("train", "dev") for text in task.splits[name].texts}
    count = sum(text in seen for text in task.splits["test"].texts)
    return [f"{count:,} of the test texts are, word for word, among the training or dev texts."] if count else []


def _entry(row: Row, cells: Mapping[str, list[Cell]], task: Task, config: CompareConfig) -> dict[str, Any]:
    targets_NL, own = task.splits["test"].targets, cells[row.name]
    metrics = {key: summarize([cell.summary["phases"]["whole"][key] for cell in own]) for key in DEFINITIONS}
    heads = [cell.summary["phases"]["head"] for cell in own]
    curves = [cell.summary["curves"] for cell in own]
    cost = own[0].summary["cost"]
    return {
        "name": row.name,
        "kind": row.kind,
        "checkpoint": row.checkpoint or None,
        **{key: cost.get(key) for key in COSTS},
        "adapted_tokens": _adapted_tokens(row.checkpoint),
        "phases": {
            "head": {key: summarize([head[key] for head in heads]) for key in SHOWN} if heads[0] else None,
            "whole": {key: metrics[key] for key in SHOWN},
        },
        "metrics": metrics,
        "thresholds": [sorted(set(cell.summary["thresholds"])) for cell in own],
        "per_label": _mean_per_label(targets_NL, own, task.labels),
        "curves": [{"seed": seed, **curve} for seed, curve in zip(config.seeds, curves, strict=False) if curve],
        "seconds": {
            key: float(np.mean([cell.summary["seconds"][key] for cell in own])) for key in own[0].summary["seconds"]
        },
        "against_baseline": against(own, cells[config.baseline], task, config),
        "calibration": calibration(targets_NL, [cell.test_NL for cell in own]),
        "errors": worst_errors(task.splits["test"], own[0].test_NL, own[0].thresholds_L, task.labels),
    }


def _adapted_tokens(checkpoint: str) -> int | None:
    """Tokens of pretraining that went into a checkpoint, where its manifest says."""
    known = checkpoint and (Path(checkpoint) / MANIFEST).is_file()
    return load_manifest(Path(checkpoint)).counts.get("tokens") if known else None


def against(own: list[Cell], baseline: list[Cell], task: Task, config: CompareConfig) -> dict[str, float | str] | None:
    """The difference to the baseline after fine-tuning, with its interval and in words; None of the baseline itself."""
    if own is baseline:
        return None
    ours, theirs = ([(cell.test_NL, cell.thresholds_L) for cell in side] for side in (own, baseline))
    return compare_weighted_f1(task.splits["test"].targets, ours, theirs, config.resamples)


def verdict(rows: list[dict[str, Any]], baseline: str) -> str:
    """Whether any checkpoint is better than the baseline, in weighted F1 after fine-tuning; and a row without one."""
    said = [_verdict_on_encoders(rows, baseline)]
    for row in rows:
        against = row["against_baseline"]
        if row["kind"] != "encoder" and against and against["verdict"] == "better":
            points = f"{100 * against['difference']:+.1f} points"
            said.append(f"{row['name']} is better than {baseline} ({points}).")
    return " ".join(said)


def _verdict_on_encoders(rows: list[dict[str, Any]], baseline: str) -> str:
    others = [row for row in rows if row["kind"] == "encoder" and row["against_baseline"]]
    if not others:
        return f"Only {baseline} was fine-tuned, so there is nothing to compare it with."
    better = [row for row in others if row["against_baseline"]["verdict"] == "better"]
    best = max(better or others, key=lambda row: row["against_baseline"]["difference"])
    found = best["against_baseline"]
    ends = [100 * found[key] for key in ("difference", "low", "high")]
    digits = 2 if any(0 < abs(end) < 0.05 for end in ends) else 1
    difference, low, high = (f"{end:+.{digits}f}" for end in ends)
    points = f"{difference} points of weighted F1, 95 % interval {low} to {high}"
    if len(others) > 2:
        points += f", the best of {len(others)}, for which the interval is not widened"
    if found["verdict"] == "better":
        return f"{best['name']} is better than {baseline}: {points}."
    if found["verdict"] == "worse":
        return f"No other checkpoint is better than {baseline}; the nearest, {best['name']}, is worse: {points}."
    return f"No gain is shown over {baseline}: the best of the others, {best['name']}, makes no difference ({points})."


def _mean_per_label(targets_NL: np.ndarray, cells: list[Cell], names: tuple[str, ...]) -> list[dict[str, Any]]:
    tables = [per_label(targets_NL, cell.test_NL, cell.thresholds_L, names) for cell in cells]
    return [
        entries[0] | {key: float(np.mean([entry[key] for entry in entries])) for key in ("precision", "recall", "f1")}
        for entries in zip(*tables, strict=True)
    ]


def _examples(task: Task, checkpoints: Mapping[str, str]) -> list[dict[str, Any]]:
    """Test texts as each vocabulary splits them: the first, and of many those whose token counts differ most."""
    texts = [" ".join(text.split())[:160] for text in task.splits["test"].texts[:EXAMPLES_SOUGHT]]
    splits = {}
    for name, source in checkpoints.items():
        tokenizer = load_reader(resolve_base(source)).tokenizer
        splits[name] = [found.tokens for found in tokenizer.encode_batch(texts, add_special_tokens=False)]

    def spread_of(number: int) -> int:
        lengths = [len(tokens[number]) for tokens in splits.values()]
        return max(lengths, default=0) - min(lengths, default=0)

    first, others = range(len(texts))[: EXAMPLES // 2], range(len(texts))[EXAMPLES // 2 :]
    chosen = [*first, *sorted(others, key=spread_of, reverse=True)[: EXAMPLES - len(first)]]
    return [
        {"text": texts[number], "tokens": {name: tokens[number] for name, tokens in splits.items()}}
        for number in chosen
    ]
