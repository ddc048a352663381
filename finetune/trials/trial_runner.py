"""Runs the trials of a comparison."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune.config import CompareConfig, FinetuneConfig
from finetune.metrics.metrics import evaluate, tune_thresholds
from finetune.train.features import FeatureStore
from finetune.trials.fine_tuner import FineTuner, load_for
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
        self.replicas, self.recipes = replicas, dict[str, FinetuneConfig]()
        """`recipes`: those that a search chose, by the system's name; any other system has the comparison's."""
        self.scratch = folder / SCRATCH if replicas.is_chief else None
        self._config, self._labels_identity = config, labels_identity
        self._features = FeatureStore(self.scratch and self.scratch / "features", config.save_seconds)
        earlier = [Path(each) for each in config.reuse] if replicas.is_chief else []
        self._earlier = EarlierTrials(earlier)
        self._tuners: dict[str, FineTuner] = {}
        """Of one architecture, by pooling."""

    def run(
        self,
        system: System,
        task: Task,
        folder: Path,
        model_folder: Path | None = None,
        recipe: FinetuneConfig | None = None,
        seeds: Sequence[int] = (),
        needs_model: bool = True,
    ) -> list[Trial]:
        """The trials of `system` on `task`, one per seed, saved in `folder`; none on a worker that is not the chief.

        The first seed's classifier is saved in `model_folder` if given; without `needs_model`, only if its trial is not
        reused. `recipe` and `seeds` are the system's own, if not given.
        """
        recipe = recipe or self.recipes.get(system.name, self._config.recipe)
        specs = self.specs(system, task, folder, recipe, seeds or system.seeds(self._config))
        if self.replicas.is_chief:
            self._reuse(specs, model_folder if needs_model else None)
        task = task.cleaned() if system.cleaned else task
        prepared: FineTuner | None = None
        trials = []
        for spec in specs:
            trial = load_trial(spec.folder) if self.replicas.is_chief else None
            if not self.replicas.agree(trial is not None):
                if system.kind == "encoder":
                    prepared = prepared or self.prepare(system, task, recipe)
                    trial = self._fine_tune(prepared, spec, model_folder if spec == specs[0] else None)
                elif self.replicas.is_chief:
                    trial = run_baseline(system, task, recipe.thresholds, spec)
            trials += [trial] if trial else []
        return trials

    def remember(self, spec: TrialSpec, model_folder: Path | None) -> None:
        """Copy a finished trial, with its classifier if there is one, wherever one with its key is to be run."""
        has_model = model_folder is not None and model_folder.is_dir()
        self._earlier.add(spec.key, spec.folder, model_folder if has_model else None)

    def prepare(self, system: System, task: Task, recipe: FinetuneConfig) -> FineTuner:
        """The fine-tuner, ready for a checkpoint, a task and a recipe; an earlier one, where the shapes are the same.

        Recipes of a comparison differ in pooling and learning rate at most.
        """
        loaded = load_for(system.checkpoint, recipe)
        if not all(tuner.serves(loaded[0], task) for tuner in self._tuners.values()):
            self._tuners.clear()  # their memory is freed before there is another one
        if recipe.pooling not in self._tuners:
            self._tuners[recipe.pooling] = FineTuner(*loaded, len(task.labels), recipe, self.replicas)
        tuner = self._tuners[recipe.pooling]
        tuner.use(recipe)
        tuner.prepare(system.checkpoint, *loaded, task, self._features)
        return tuner

    def _fine_tune(self, tuner: FineTuner, spec: TrialSpec, model_folder: Path | None) -> Trial | None:
        """Run a trial, from its saved state if there is one, and save it."""
        state_folder = self.scratch / "states" / spec.key if self.scratch else None
        state = RunState(str(state_folder) if state_folder else None, self._config.save_seconds, self.replicas.is_pod)
        trial = tuner.run(spec, model_folder, state)
        if state_folder and trial:
            save_trial(spec.folder, trial)
            shutil.rmtree(state_folder, ignore_errors=True)
        return trial

    def specs(
        self, system: System, task: Task, folder: Path, recipe: FinetuneConfig, seeds: Sequence[int]
    ) -> list[TrialSpec]:
        """Folder, seed and key of each trial of a system."""
        subject = identify(resolve_base(system.checkpoint)) if system.checkpoint else system.name
        train_texts = len(task.splits["train"].texts)
        key_parts = subject, recipe, self._labels_identity, system.cleaned, train_texts
        return [TrialSpec(folder / f"seed-{seed}", seed, trial_key(*key_parts, seed)) for seed in seeds]

    def _reuse(self, specs: list[TrialSpec], model_folder: Path | None) -> None:
        """Copy missing trials from earlier comparisons, and print their number, or from a search."""
        missing = [spec for spec in specs if load_trial(spec.folder) is None]
        reused = [self._earlier.reuse(spec, model_folder if spec == specs[0] else None) for spec in missing]
        if self._config.reuse:
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
