"""Compares checkpoints: the same recipe, data and seeds for all, one table and report."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.compare.comparison import COMPARISON_FILE, load_comparison, to_json
from finetune.compare.gains import (
    exported_checkpoints,
    gain_against_labels,
    gain_against_tokens,
    run_exports,
    run_label_sizes,
)
from finetune.compare.report import table_text, write_report
from finetune.compare.results import build_comparison
from finetune.config import NOT_RECORDED, CompareConfig, FinetuneConfig
from finetune.trials.fine_tuner import load_for
from finetune.trials.reuse import earlier_file
from finetune.trials.search import Search, Searcher
from finetune.trials.systems import System, systems_of
from finetune.trials.task import Task, check_not_taught, load_task, power_warning
from finetune.trials.trial import Trial
from finetune.trials.trial_runner import TrialRunner
from pretrain.config import Precision
from pretrain.train.device import choose_dtype
from pretrain.train.replicas import GONE, Replicas, explain_gone, find_replicas
from stackbert.core.artifact import (
    MANIFEST,
    Manifest,
    build_artifact,
    finished_artifact,
    identify,
    load_manifest,
    require_artifact,
    versions,
    write_json,
)
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError, require
from stackbert.core.place import require_folder_place

STAGE = "finetune compare"
PRECISION_FILE = "precision.json"
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")  # what 'auto' can become; workers agree on an index
NOT_SETTINGS = ("recipe", "seeds", "title", *NOT_RECORDED)
"""Fields of CompareConfig that a comparison lists elsewhere, or not at all."""


def compare(labels: Path, checkpoints: Mapping[str, str], out: Path, config: CompareConfig) -> Manifest:
    """Fine-tune each of `checkpoints` (name -> folder, hub id or 'minilm') on the labelled set and compare them.

    `out` contains comparison.json, comparison.md, report.html, the trials and, in models/, the first seed's classifier
    of each checkpoint, except on cleaned texts. A stopped comparison continues with the missing trials, and within the
    one that was stopped.

    On several machines that TF_CONFIG names, each calls this with the same arguments. All folders are then on a shared
    disk, and only the chief writes.
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
    manifest = _make(task, checkpoints, out, config, inputs, replicas)
    if replicas.is_chief:
        print(table_text(load_comparison(out)))
        print(f"report: {out / 'report.html'}")
    return manifest


def _make(
    task: Task,
    checkpoints: Mapping[str, str],
    out: Path,
    config: CompareConfig,
    inputs: Mapping[str, str],
    replicas: Replicas,
) -> Manifest:
    """Build the output, or on a worker that is not the chief, take part in it; returns the manifest."""
    if replicas.workers > 1 and (finished := finished_artifact(out, STAGE, config.recorded, inputs)):
        return finished

    def work(folder: Path) -> dict[str, Any]:
        return _compare(task, checkpoints, folder, config, inputs, replicas)

    try:
        if not replicas.is_chief:
            work(out)
            replicas.wait()  # until the chief has written the manifest
            return load_manifest(out)
        manifest = build_artifact(out, STAGE, config.recorded, inputs, work, resumable=True)
    except GONE as error:
        raise StackbertError(explain_gone(error)) from None
    replicas.wait()
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
    """Run all trials and, on the chief, write the comparison; the others write nothing."""
    if (warning := power_warning(task, config)) and replicas.is_chief:
        print(warning, file=sys.stderr)
    recipe = _with_precision(config.recipe, folder / PRECISION_FILE, config.reuse, replicas)
    config = replace(config, recipe=recipe)
    runner, systems = TrialRunner(config, inputs["labels"], folder, replicas), systems_of(checkpoints, config)
    trials, searches = _run_systems(runner, systems, task, folder, config)
    by_size = run_label_sizes(runner, systems, task, config, folder / "labels")
    exports = run_exports(runner, systems, task, config, folder / "exports")
    if not replicas.is_chief:
        return {}
    comparison = build_comparison(task, systems, trials, searches, config)
    identities = {checkpoint: inputs[f"system {name}"] for name, checkpoint in checkpoints.items()}
    comparison = replace(
        comparison,
        gain_against_labels=gain_against_labels(systems, trials, by_size, task, config),
        gain_against_tokens=gain_against_tokens(systems, trials, exports, task, config, identities),
        settings={name: value for name, value in vars(config).items() if name not in NOT_SETTINGS},
        made_from=dict(inputs),
        versions=versions(),
    )
    write_json(folder / COMPARISON_FILE, to_json(comparison))
    write_report(comparison, folder)
    return {
        "systems": len(systems),
        "seeds": len(config.seeds),
        "verdict": comparison.verdict,
        "equivalences": comparison.equivalences,
    }


def _run_systems(
    runner: TrialRunner, systems: Sequence[System], task: Task, folder: Path, config: CompareConfig
) -> tuple[dict[str, list[Trial]], list[Search]]:
    """The trials of each system on all training texts, after the search for its recipe.

    The first seed's classifier is saved, except on cleaned texts.
    """
    searcher, trials, searches = Searcher(runner, config, folder), dict[str, list[Trial]](), list[Search]()
    for system in systems:
        seeds = f"{len(config.seeds)} seed{'' if len(config.seeds) == 1 else 's'}"
        source = f" ({system.checkpoint}): {seeds}" if system.checkpoint else ""
        print(f"{system.name}{source}", flush=True)
        searches += [found] if (found := searcher.run(system, task)) else []
        saves_model = system.kind == "encoder" and not system.cleaned  # 'predict' does not clean texts
        model_folder = system.folder(folder / "models") if saves_model else None
        trials[system.name] = runner.run(system, task, system.folder(folder / "trials"), model_folder)
    return trials, searches


def _with_precision(recipe: FinetuneConfig, path: Path, reuse: Sequence[str], replicas: Replicas) -> FinetuneConfig:
    """The recipe with precision 'auto' resolved, once per comparison, and saved in `path` for a continued one.

    An earlier comparison's choice is adopted with its trials, as trials of another precision cannot be reused. The
    chief chooses for all workers.
    """
    if replicas.is_chief and not path.is_file():
        earlier = earlier_file([Path(each) for each in reuse], PRECISION_FILE) if recipe.precision == "auto" else None
        if earlier:
            write_json(path, json.loads(earlier.read_text("utf-8")))
        else:
            write_json(path, choose_dtype(recipe.precision, replicas.accelerated).name)
    own = PRECISIONS.index(json.loads(path.read_text("utf-8"))) if replicas.is_chief else 0
    return replace(recipe, precision=PRECISIONS[replicas.agree(own)])
