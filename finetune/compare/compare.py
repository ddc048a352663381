"""Compares checkpoints: the same recipe, data and seeds for all, one table and report."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.compare.comparison import COMPARISON_FILE, load_comparison, to_json
from finetune.compare.gains import exported_checkpoints, gain_against_labels, gain_against_tokens
from finetune.compare.report import table_text, write_report
from finetune.compare.results import build_comparison
from finetune.compare.reuse import earlier_file
from finetune.compare.systems import System, systems_of
from finetune.compare.task import Task, check_not_taught, load_task
from finetune.compare.trial_runner import TrialRunner, load_for
from finetune.compare.trials import Trial
from finetune.config import NOT_RECORDED, CompareConfig, FinetuneConfig
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import Replicas, find_replicas
from stackbert.core.artifact import MANIFEST, Manifest, build_artifact, identify, require_artifact, versions, write_json
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import require
from stackbert.core.place import require_folder_place

PRECISION_FILE = "precision.json"
NOT_SETTINGS = ("recipe", "seeds", "title", *NOT_RECORDED)
"""Fields of CompareConfig that a comparison lists elsewhere, or not at all."""


def compare(labels: Path, checkpoints: Mapping[str, str], out: Path, config: CompareConfig) -> Manifest:
    """Fine-tune each of `checkpoints` (name -> folder, hub id or 'minilm') on the labelled set and compare them.

    `out` contains comparison.json, comparison.md, report.html, the trials and, in models/, the first seed's classifier
    of each checkpoint, except on cleaned texts. An interrupted comparison continues with the missing trials.
    """
    if not labels.is_dir() or (labels / MANIFEST).exists():  # a hand-made labelled set has no manifest
        require_artifact(labels, "corpora label")
    require(bool(checkpoints), "checkpoints: none given; name one or more")
    config = replace(config, baseline=config.baseline or next(iter(checkpoints)))
    replicas = find_replicas(config.device)
    replicas.check("batch_size", config.recipe.batch_size)
    check_systems(checkpoints, config)
    task = load_task(labels, config)
    folders = {f"system {name}": resolve_base(checkpoint) for name, checkpoint in checkpoints.items()}
    for name, folder in zip(checkpoints, folders.values(), strict=True):
        check_not_taught(name, folder, task)
    require_folder_place(out, labels, *folders.values())
    inputs = {name: identify(folder) for name, folder in {"labels": labels, **folders}.items()}
    manifest = build_artifact(
        out,
        "finetune compare",
        config.recorded,
        inputs,
        lambda folder: _compare(task, checkpoints, folder, config, inputs, replicas),
        resumable=True,
    )
    print(table_text(load_comparison(out)))
    print(f"report: {out / 'report.html'}")
    return manifest


def check_systems(
    checkpoints: Mapping[str, str], config: CompareConfig, planned: Sequence[str] = (), planned_exports: int = 0
) -> None:
    """Raise StackbertError early for names, a baseline or checkpoints that do not fit the comparison.

    `planned` are names of checkpoints still to be pretrained, each with `planned_exports` exported checkpoints.
    """
    systems_of({**checkpoints, **dict.fromkeys(planned, "")}, config)
    for checkpoint in checkpoints.values():
        for note in load_for(checkpoint, config.recipe)[0].notes:
            print(f"{checkpoint}: {note}", file=sys.stderr)
    has_exports = planned_exports > 0 or any(exported_checkpoints(checkpoint) for checkpoint in checkpoints.values())
    require(
        not config.include_exports or has_exports,
        "include_exports: no checkpoint has exported ones; run 'pretrain run' with --exports",
    )


def _compare(
    task: Task,
    checkpoints: Mapping[str, str],
    folder: Path,
    config: CompareConfig,
    inputs: Mapping[str, str],
    replicas: Replicas,
) -> dict[str, Any]:
    recipe = _with_precision(config.recipe, folder / PRECISION_FILE, config.reuse, replicas.accelerated)
    config = replace(config, recipe=recipe)
    runner, systems = TrialRunner(config, inputs["labels"], replicas), systems_of(checkpoints, config)
    trials = {system.name: _run_system(runner, system, task, folder, config) for system in systems}
    comparison = build_comparison(task, systems, trials, config)
    label_gains = gain_against_labels(runner, systems, trials, task, config, folder / "labels")
    token_gains = []
    if config.include_exports:
        identities = {checkpoint: inputs[f"system {name}"] for name, checkpoint in checkpoints.items()}
        token_gains = gain_against_tokens(runner, systems, trials, task, config, folder / "exports", identities)
    comparison = replace(
        comparison,
        gain_against_labels=label_gains,
        gain_against_tokens=token_gains,
        settings={name: value for name, value in vars(config).items() if name not in NOT_SETTINGS},
        made_from=dict(inputs),
        versions=versions(),
    )
    write_json(folder / COMPARISON_FILE, to_json(comparison))
    write_report(comparison, folder)
    return {"systems": len(systems), "seeds": len(config.seeds), "verdict": comparison.verdict}


def _run_system(runner: TrialRunner, system: System, task: Task, folder: Path, config: CompareConfig) -> list[Trial]:
    """The trials of a system on all training texts; the first seed's classifier is saved, except on cleaned texts."""
    source = f" ({system.checkpoint}): {len(config.seeds)} seeds" if system.checkpoint else ""
    print(f"{system.name}{source}", flush=True)
    saves_model = system.kind == "encoder" and not system.cleaned  # 'predict' does not clean texts
    model_folder = system.folder(folder / "models") if saves_model else None
    return runner.run(system, task, system.folder(folder / "trials"), model_folder)


def _with_precision(
    recipe: FinetuneConfig, path: Path, reuse: Sequence[str], accelerated: bool | None = None
) -> FinetuneConfig:
    """The recipe with precision 'auto' resolved, once per comparison, and saved in `path` for a continued one.

    An earlier comparison's choice is adopted with its trials, as trials of another precision cannot be reused.
    """
    if not path.is_file():
        earlier = earlier_file([Path(each) for each in reuse], PRECISION_FILE) if recipe.precision == "auto" else None
        chosen = json.loads(earlier.read_text("utf-8")) if earlier else choose_dtype(recipe.precision, accelerated).name
        write_json(path, chosen)
    return replace(recipe, precision=json.loads(path.read_text("utf-8")))
