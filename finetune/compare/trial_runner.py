"""Runs the trials of a comparison."""

import sys
import time
from pathlib import Path

import numpy as np

from finetune.classifier.classifier import Classifier
from finetune.classifier.head_training import HeadTraining
from finetune.classifier.phases import EncodedSplit, PhaseResult, best_epoch, encode_split
from finetune.classifier.whole_training import WholeTraining
from finetune.compare.reuse import EarlierTrials, trial_key
from finetune.compare.systems import BASELINES, System
from finetune.compare.task import SPLITS, Task
from finetune.compare.trials import Cost, Curves, PhaseMetrics, Trial, TrialSpec, TrialSummary, load_trial, save_trial
from finetune.config import CompareConfig, FinetuneConfig
from finetune.deploy.bundle import save_bundle
from finetune.deploy.hf_head import has_hf_head
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import evaluate, tune_thresholds
from pretrain.init.transfer import check_vocabulary
from pretrain.model.checkpoint import Checkpoint, load_checkpoint
from stackbert.core.artifact import identify
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from stackbert.core.process import forget_peak, peak_bytes
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.files.tokenizer_checks import check_known
from tokenizer.files.tokenizer_files import check_writing


class TrialRunner:
    """Runs the trials of each system, except those that are finished or can be reused."""

    def __init__(self, config: CompareConfig, labels_identity: str):
        self._config, self._labels_identity = config, labels_identity
        self._earlier = EarlierTrials([Path(folder) for folder in config.reuse]) if config.reuse else None

    def run(self, system: System, task: Task, folder: Path, model_folder: Path | None = None) -> list[Trial]:
        """The trials of `system` on `task`, one per seed, saved in `folder`.

        The first seed's classifier is saved in `model_folder` if given.
        """
        specs = self._specs(system, task, folder)
        if self._earlier:
            self._reuse(self._earlier, specs, model_folder)
        task = task.cleaned() if system.cleaned else task
        fine_tuner: FineTuner | None = None
        trials = []
        for spec in specs:
            trial = load_trial(spec.folder)
            if trial is None and system.kind == "encoder":
                fine_tuner = fine_tuner or FineTuner(system.checkpoint, task, self._config.recipe)
                trial = fine_tuner.run(spec, model_folder if spec == specs[0] else None)
            elif trial is None:
                trial = run_baseline(system, task, self._config.recipe.thresholds, spec)
            trials.append(trial)
        return trials

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


class FineTuner:
    """Fine-tunes one checkpoint on one task, with any seed; frozen features are computed once."""

    def __init__(self, checkpoint: str, task: Task, config: FinetuneConfig):
        self._name, self._task, self._config = checkpoint, task, config
        self._source = resolve_base(checkpoint)
        self._classifier = Classifier(*load_for(checkpoint, config), len(task.labels), config)
        forget_peak()
        self._classifier.compile_features()
        start = time.monotonic()
        self._splits: dict[str, EncodedSplit] = {
            name: encode_split(self._classifier, split) for name, split in task.splits.items()
        }
        self._feature_seconds = time.monotonic() - start
        check_known(*self._count_unknown("train"), f"{checkpoint} on the training texts")
        splits = [self._splits[name] for name in SPLITS]
        self._head, self._whole = HeadTraining(self._classifier, *splits), WholeTraining(self._classifier, *splits)

    def run(self, spec: TrialSpec, model_folder: Path | None) -> Trial:
        """Fine-tune in two phases and save the trial, and the classifier in `model_folder` if given."""
        self._classifier.encoder.assign(self._classifier.checkpoint.weights)
        head = self._head.run(spec.seed)
        head_f1 = best_epoch(head.epochs).dev_weighted_f1
        print(f"  seed {spec.seed}: head alone, dev weighted F1 {head_f1:.3f}", file=sys.stderr)
        try:
            whole = self._whole.run(spec.seed)
        except StackbertError as error:
            raise StackbertError(f"{self._name}, seed {spec.seed}: {error}") from None
        trial = Trial(self._summary(head, whole, spec.key, model_folder is not None), whole.test_NL)
        if model_folder is not None:
            self._save_model(model_folder, trial)
        save_trial(spec.folder, trial)
        return trial

    def _count_unknown(self, split: str) -> tuple[int, int]:
        """Number of unknown tokens of the split's texts, and of all but the two special ones."""
        ids_I = np.concatenate([sequence[1:-1] for sequence in self._splits[split].sequences])
        return int(np.count_nonzero(ids_I == self._classifier.reader.unknown_id)), len(ids_I)

    def _save_model(self, folder: Path, trial: Trial) -> None:
        labels, thresholds_L = self._task.labels, trial.thresholds_L
        save_bundle(self._classifier, self._source, labels, thresholds_L, folder)
        metrics, data = trial.summary.phases.whole, self._task.description()
        in_transformers = has_hf_head(self._config, self._classifier.checkpoint.architecture.family)
        write_model_card(folder, self._name, self._config, labels, thresholds_L, metrics, data, in_transformers)

    def _summary(self, head: PhaseResult, whole: PhaseResult, key: str, bundle: bool) -> TrialSummary:
        targets_NL = self._task.splits["test"].targets
        uncut = np.concatenate([split.lengths for split in self._splits.values()])
        read = [len(sequence) for split in self._splits.values() for sequence in split.sequences]
        checkpoint = self._classifier.checkpoint
        weights = [array for name, array in checkpoint.weights.items() if not name.startswith("mlm/")]
        return TrialSummary(
            phases=PhaseMetrics(
                head=evaluate(targets_NL, head.test_NL, head.thresholds_L),
                whole=evaluate(targets_NL, whole.test_NL, whole.thresholds_L),
            ),
            thresholds=whole.thresholds_L.tolist(),
            curves=Curves(head.epochs, whole.epochs),
            seconds={"features": self._feature_seconds, "head": head.seconds, "whole": whole.seconds},
            cost=Cost(
                parameters=sum(array.size for array in weights),
                vocab_size=checkpoint.architecture.vocab_size,
                texts_per_second=len(read) / self._feature_seconds,
                memory=peak_bytes(),
                disk=sum(array.nbytes for array in weights),
                tokens_per_text=float(np.mean(uncut)),
                share_cut=float(np.mean(uncut > read)),
            ),
            key=key,
            bundle=bundle,
        )


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


def load_for(name: str, config: FinetuneConfig) -> tuple[Checkpoint, TextReader]:
    """Load the checkpoint `name` and its tokenizer.

    Raises StackbertError if they do not fit each other or the recipe's max_length.
    """
    source = resolve_base(name)
    checkpoint, reader = load_checkpoint(source), load_reader(source)
    check_vocabulary(checkpoint, reader)
    check_writing(source, checkpoint.config)
    longest = checkpoint.architecture.max_length
    if config.max_length > longest:
        raise StackbertError(f"{name}: reads {longest} tokens at most; max_length is {config.max_length}")
    return checkpoint, reader
