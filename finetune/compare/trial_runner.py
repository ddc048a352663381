"""Runs the trials of a comparison."""

import shutil
import sys
from pathlib import Path

import numpy as np

from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplit, EncodedSplits, PhaseResult, best_epoch
from finetune.compare.reuse import EarlierTrials, trial_key
from finetune.compare.systems import BASELINES, System
from finetune.compare.task import SPLITS, Task
from finetune.compare.trials import Cost, Curves, PhaseMetrics, Trial, TrialSpec, TrialSummary, load_trial, save_trial
from finetune.config import CompareConfig, FinetuneConfig
from finetune.deploy.bundle import save_bundle
from finetune.deploy.hf_head import has_hf_head
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import evaluate, tune_thresholds
from finetune.train.features import FeatureStore
from finetune.train.head_training import HeadTraining
from finetune.train.whole_training import WholeTraining
from pretrain.init.transfer import check_vocabulary
from pretrain.model.checkpoint import Checkpoint, load_checkpoint
from pretrain.train.replicas import Replicas
from pretrain.train.state import RunState
from stackbert.core.artifact import SCRATCH, identify
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from stackbert.core.process import forget_peak, peak_bytes
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.files.tokenizer_checks import check_known
from tokenizer.files.tokenizer_files import check_writing


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


class FineTuner:
    """Fine-tunes checkpoints of one architecture, on tasks with equally many labels; each step is compiled once."""

    def __init__(
        self, checkpoint: Checkpoint, reader: TextReader, num_labels: int, config: FinetuneConfig, replicas: Replicas
    ):
        self._config, self._replicas = config, replicas
        self._classifier = Classifier(checkpoint, reader, num_labels, config, replicas)
        self._head, self._whole = HeadTraining(self._classifier), WholeTraining(self._classifier)

    def serves(self, checkpoint: Checkpoint, task: Task) -> bool:
        """Whether what is compiled serves a checkpoint and a task."""
        num_labels, architecture = self._classifier.head.num_labels, self._classifier.checkpoint.architecture
        return checkpoint.architecture == architecture and len(task.labels) == num_labels

    def prepare(self, name: str, checkpoint: Checkpoint, reader: TextReader, task: Task, store: FeatureStore) -> None:
        """Load a checkpoint and encode the texts of a task, whose frozen features serve all seeds."""
        self._name, self._source, self._task = name, resolve_base(name), task
        self._classifier.load(checkpoint, reader)
        forget_peak()
        self._classifier.compile_features()
        subject = identify(self._source)
        encoded = [store.encode(self._classifier, subject, task.splits[each]) for each in SPLITS]
        self._splits = EncodedSplits(*(split for split, _ in encoded))
        self._feature_seconds = sum(seconds for _, seconds in encoded)
        check_known(*self._count_unknown(self._splits.train), f"{name} on the training texts")

    def run(self, spec: TrialSpec, model_folder: Path | None, state: RunState) -> Trial | None:
        """Fine-tune in two phases, and save the classifier in `model_folder` if given.

        The head's phase takes seconds and is not part of the state. Returns None on a worker that is not the chief,
        which takes part in the second phase only.
        """
        self._classifier.encoder.assign(self._classifier.checkpoint.weights)
        head = self._train_head(spec.seed) if self._replicas.is_chief else None
        try:
            whole = self._whole.run(self._splits, spec.seed, state)
        except StackbertError as error:
            raise StackbertError(f"{self._name}, seed {spec.seed}: {error}") from None
        if not head:
            return None
        trial = Trial(self._summary(head, whole, spec.key, model_folder is not None), whole.test_NL)
        if model_folder is not None:
            self._save_model(model_folder, trial)
        return trial

    def _train_head(self, seed: int) -> PhaseResult:
        head = self._head.run(self._splits, seed)
        head_f1 = best_epoch(head.epochs).dev_weighted_f1
        print(f"  seed {seed}: head alone, dev weighted F1 {head_f1:.3f}", file=sys.stderr)
        return head

    def _count_unknown(self, split: EncodedSplit) -> tuple[int, int]:
        """Number of unknown tokens of the split's texts, and of all but the two special ones."""
        ids_I = np.concatenate([sequence[1:-1] for sequence in split.sequences])
        return int(np.count_nonzero(ids_I == self._classifier.reader.unknown_id)), len(ids_I)

    def _save_model(self, folder: Path, trial: Trial) -> None:
        labels, thresholds_L = self._task.labels, trial.thresholds_L
        save_bundle(self._classifier, self._source, labels, thresholds_L, folder)
        metrics, data = trial.summary.phases.whole, self._task.description()
        in_transformers = has_hf_head(self._config, self._classifier.checkpoint.architecture.family)
        write_model_card(folder, self._name, self._config, labels, thresholds_L, metrics, data, in_transformers)

    def _summary(self, head: PhaseResult, whole: PhaseResult, key: str, bundle: bool) -> TrialSummary:
        targets_NL = self._task.splits["test"].targets
        uncut = np.concatenate([split.lengths for split in self._splits])
        read = [len(sequence) for split in self._splits for sequence in split.sequences]
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
