"""Runs the trials of a comparison."""

import shutil
import sys
from pathlib import Path

from finetune.config import CompareConfig
from finetune.metrics.metrics import evaluate, tune_thresholds
from finetune.train.features import FeatureStore
from finetune.trials.reuse import EarlierTrials, trial_key
from finetune.trials.systems import BASELINES, System
from finetune.trials.task import SPLITS, Task
from finetune.trials.trial import Cost, PhaseMetrics, Trial, TrialSpec, TrialSummary, load_trial, save_trial
from pretrain.train.replicas import Replicas
from pretrain.train.state import RunState
from stackbert.core.artifact import SCRATCH, identify
from stackbert.core.checkpoints import resolve_base
from stackbert.core.process import forget_peak, peak_bytes


class TrialRunner:
    """Runs the trials of each system, except those that are finished or can be reused.

    On several machines all run the same trials together; the chief alone reads and writes `folder`, the comparison's
    own, and decides what is finished. `labels_identity` is that of the labelled set.
    """

    def __init__(self, config: CompareConfig, labels_identity: str, folder: Path, replicas: Replicas):
        self._config, self._labels_identity, self._replicas = config, labels_identity, replicas
        self._scratch = folder / SCRATCH if replicas.is_chief else None
        self._features = FeatureStore(self._scratch and self._scratch / "features", config.save_seconds)
        reuses = config.reuse and replicas.is_chief
        self._earlier = EarlierTrials([Path(earlier) for earlier in config.reuse]) if reuses else None
        self._tuner: FineTuner | None = None

    def run(self, system: System, task: Task, folder: Path, model_folder: Path | None = None) -> list[Trial]:
        """The trials of `system` on `task`, one per seed, saved in `folder`; none on a worker that is not the chief.

        The first seed's classifier is saved in `model_folder` if given.
        """
        specs = self._specs(system, task, folder)
        if self._earlier:
            self._reuse(self._earlier, specs, model_folder)
        task = task.cleaned() if system.cleaned else task
        prepared: FineTuner | None = None
        trials = []
        for spec in specs:
            trial = load_trial(spec.folder) if self._replicas.is_chief else None
            if not self._replicas.agree(trial is not None):
                if system.kind == "encoder":
                    prepared = prepared or self._prepare(system, task)
                    trial = self._fine_tune(prepared, spec, model_folder if spec == specs[0] else None)
                elif self._replicas.is_chief:
                    trial = run_baseline(system, task, self._config.recipe.thresholds, spec)
            trials += [trial] if trial else []
        return trials

    def _prepare(self, system: System, task: Task) -> "FineTuner":
        """The fine-tuner, ready for a checkpoint and a task; the one before, where the shapes are the same."""
        loaded = load_for(system.checkpoint, self._config.recipe)
        if not (self._tuner and self._tuner.serves(loaded[0], task)):
            self._tuner = None  # its memory is freed before there is another one
            self._tuner = FineTuner(*loaded, len(task.labels), self._config.recipe, self._replicas)
        self._tuner.prepare(system.checkpoint, *loaded, task, self._features)
        return self._tuner

    def _fine_tune(self, tuner: "FineTuner", spec: TrialSpec, model_folder: Path | None) -> Trial | None:
        """Run a trial, from its saved state if there is one, and save it."""
        state_folder = self._scratch / "states" / spec.key if self._scratch else None
        state = RunState(str(state_folder) if state_folder else None, self._config.save_seconds, self._replicas.is_pod)
        trial = tuner.run(spec, model_folder, state)
        if state_folder and trial:
            save_trial(spec.folder, trial)
            shutil.rmtree(state_folder, ignore_errors=True)
        return trial

    def _specs(self, system: System, task: Task, folder: Path) -> list[TrialSpec]:
        subject = identify(resolve_base(system.checkpoint)) if system.checkpoint else system.name
        train_texts = len(task.splits["train"].texts)
        key_parts = subject, self._config.recipe, self._labels_identity, system.cleaned, train_texts
        seeds = system.seeds(self._config)
        return [TrialSpec(folder / f"seed-{seed}", seed, trial_key(*key_parts, seed)) for seed in seeds]

    def _reuse(self, earlier: EarlierTrials, specs: list[TrialSpec], model_folder: Path | None) -> None:
        """Copy missing trials from earlier comparisons and print their number."""
        missing = [spec for spec in specs if load_trial(spec.folder) is None]
        reused = [earlier.reuse(spec, model_folder if spec == specs[0] else None) for spec in missing]
        print(f"  {sum(reused)} of {len(missing)} trials reused", file=sys.stderr)


def run_baseline(system: System, task: Task, thresholds: str, spec: TrialSpec) -> Trial:
    """Train a system without an encoder and save the trial."""
    forget_peak()
    result = BASELINES[system.name](*(task.splits[name] for name in SPLITS), spec.seed)
    thresholds_L = tune_thresholds(thresholds, task.splits["dev"].targets, result.dev_NL)
    summary = TrialSummary(
        phases=PhaseMetrics(None, evaluate(task.splits["test"].targets, result.test_NL, thresholds_L)),
        thresholds=thresholds_L.tolist(),
        curves=None,
        seconds=result.seconds,
        cost=Cost(result.parameters, result.vocab_size, result.texts_per_second, peak_bytes()),
        key=spec.key,
        bundle=False,
    )
    trial = Trial(summary, result.test_NL)
    save_trial(spec.folder, trial)
    return trial
