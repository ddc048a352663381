"""Fine-tunes checkpoints: encodes a task's texts, runs both phases of a trial, saves its classifier."""

import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from finetune.classifier.classifier import Classifier
from finetune.classifier.phases import EncodedSplit, EncodedSplits, PhaseResult, best_epoch
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import save_bundle
from finetune.deploy.hf_head import has_hf_head
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import evaluate
from finetune.train.features import FeatureStore
from finetune.train.head_training import HeadTraining
from finetune.train.whole_training import WholeTraining
from finetune.trials.task import SPLITS, Task
from finetune.trials.trial import Cost, Curves, PhaseMetrics, Trial, TrialSpec, TrialSummary
from pretrain.init.transfer import check_vocabulary
from pretrain.model.checkpoint import Checkpoint, load_checkpoint
from pretrain.train.replicas import Replicas
from pretrain.train.state import RunState
from stackbert.core.artifact import identify
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from stackbert.core.process import forget_peak, peak_bytes
from tokenizer.encoding.reader import TextReader, load_reader
from tokenizer.files.tokenizer_checks import check_known
from tokenizer.files.tokenizer_files import check_writing


class FineTuner:
    """Fine-tunes checkpoints of one architecture, on tasks with equally many labels; each step is compiled once."""

    def __init__(
        self, checkpoint: Checkpoint, reader: TextReader, num_labels: int, config: FinetuneConfig, replicas: Replicas
    ):
        self._config, self._replicas = config, replicas
        self._classifier = Classifier(checkpoint, reader, num_labels, config, replicas)
        self._head = HeadTraining(self._classifier)

    @cached_property
    def _whole(self) -> WholeTraining:
        """Made when it is first needed: a search for the pooling needs the head's phase only."""
        return WholeTraining(self._classifier)

    def serves(self, checkpoint: Checkpoint, task: Task) -> bool:
        """Whether what is compiled serves a checkpoint and a task."""
        num_labels, architecture = self._classifier.head.num_labels, self._classifier.checkpoint.architecture
        return checkpoint.architecture == architecture and len(task.labels) == num_labels

    def use(self, config: FinetuneConfig) -> None:
        """Take a recipe that differs in the learning rate at most, which is no part of what is compiled."""
        assert config == replace(self._config, learning_rate=config.learning_rate)
        self._config = self._classifier.config = config

    def prepare(self, name: str, checkpoint: Checkpoint, reader: TextReader, task: Task, store: FeatureStore) -> None:
        """Load a checkpoint and encode the texts of a task, whose frozen features serve all seeds."""
        self._name, self._source, self._task = name, resolve_base(name), task
        self._classifier.load(checkpoint, reader)
        forget_peak()
        self._classifier.compile_features()
        subject = identify(self._source)
        encoded = {id(task.splits[each]): store.encode(self._classifier, subject, task.splits[each]) for each in SPLITS}
        self._splits = EncodedSplits(*(encoded[id(task.splits[each])][0] for each in SPLITS))
        self._feature_seconds = sum(seconds for _, seconds in encoded.values())
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

    def head_on_dev(self, seed: int) -> tuple[float, float]:
        """Dev weighted F1 of the head alone, and the seconds that it and the features took."""
        head = self._train_head(seed)
        return best_epoch(head.epochs).dev_weighted_f1, self._feature_seconds + head.seconds

    def head_seconds(self, sizes: tuple[int, int, int]) -> float:
        """Seconds of the head's phase on so many texts of train, dev and test: those prepared, repeated."""
        splits = EncodedSplits(*(split.repeated(size) for split, size in zip(self._splits, sizes, strict=True)))
        return self._head.run(splits, 0).seconds

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
