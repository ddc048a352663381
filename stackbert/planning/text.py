"""What the text stages of a study take: corpora, labelled set, vocabulary and packed rows."""

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from corpora.build.sample import Sample
from finetune.trials.task import SPLITS
from stackbert.adaptations import LABELS, OWN, PhaseStages, distinct_phases
from stackbert.core.artifact import Manifest, made_with
from stackbert.core.checkpoints import resolve_base
from stackbert.core.workers import available_cores
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.samples import SampleRun, StageRun, run_samples
from stackbert.planning.scaling import extrapolate
from stackbert.planning.table import StagePlan
from stackbert.study import TOKENIZER, Study, chains_of, trains_vocabulary
from tokenizer.encoding.encode import POSTS_WORTH_PROCESSES


def text_stages(study: Study) -> dict[str, Any]:
    """The text stages by their folders' names in that of the study, each with the configuration that it records."""
    stages: dict[str, Any] = {f"corpora/{name}": config.recorded for name, config in study.corpora.items()}
    stages[LABELS] = replace(study.labels, processes=0)
    if trains_vocabulary(study):
        stages[TOKENIZER] = replace(study.tokenizer, processes=0)
    for phase in distinct_phases(chains_of(study)):
        stages[phase.rows] = replace(phase.encode, processes=0)
    return stages


class TextPlan:
    """The text stages: finished ones as they are, the others from a small and a larger sample of the text."""

    def __init__(self, study: Study, config: StudyPlanConfig, folder: Path) -> None:
        """`folder` is a temporary one, for the samples. Raises StackbertError where `run` refuses a finished stage."""
        self._study = study
        configs = text_stages(study)
        found = {name: made_with(Path(study.out) / name, config) for name, config in configs.items()}
        self._finished: dict[str, Manifest] = {name: manifest for name, manifest in found.items() if manifest}
        self._sample_runs: list[SampleRun] = []
        self._samples: dict[str, Sample] = {}
        if len(self._finished) < len(configs):
            self._sample_runs, self._samples = run_samples(study, config.sample_rows, config.seconds, folder)

    def stages(self, machines: int) -> list[StagePlan]:
        """All of them; slices of TPUs take as long as this machine."""
        plans = []
        for name in text_stages(self._study):
            seconds = 0.0 if name in self._finished else self._seconds(name)
            done = name in self._finished
            disk = self._finished[name].bytes if done else round(self._larger(name).manifest.bytes / self.share)
            plans.append(StagePlan(name, self._work(name), (seconds,) * machines, disk, done=done))
        return plans

    @property
    def share(self) -> float:
        """Of the text in the larger sample; 1 without samples."""
        return self._sample_runs[-1].share if self._sample_runs else 1.0

    def labels(self) -> Path:
        """The labelled set, or that of the sample."""
        return self._folder(LABELS)

    def rows(self, phase: PhaseStages) -> tuple[Path, Path, float]:
        """Packed rows or those of the sample, the tokenizer that encoded them, and the gigabytes of the whole text."""
        known = phase.rows in self._finished
        text_bytes = self._counts(phase.rows)["train"]["text_bytes"] / (1 if known else self.share)
        is_own = phase.vocabulary == OWN
        tokenizer = self._folder(TOKENIZER) if is_own else resolve_base(self._study.pretrain.base)
        if is_own and not known:
            tokenizer = self._sample_runs[-1].tokenizer
        return self._folder(phase.rows), tokenizer, text_bytes / 1e9

    def target_tags(self, phase: PhaseStages) -> tuple[int, int]:
        """Tags that a phase of tags predicts, those of the sample if there is one, and the posts that carry them."""
        counts, scale = self._counts(phase.rows), 1.0 if phase.rows in self._finished else 1 / self.share
        return counts["targets"], round(counts["train"]["texts"] * scale)

    @cached_property
    def split_sizes(self) -> tuple[int, int, int]:
        """Texts of train, dev and test."""
        counts, labels = self._counts(LABELS), self._study.labels
        kept = [counts[split]["kept"] for split in SPLITS]
        if LABELS in self._finished:
            return tuple(kept)
        most = (labels.max_train, labels.max_dev, labels.max_test)
        whole = (round(count / self.share) for count in kept)
        return tuple(min(count, limit or count) for count, limit in zip(whole, most, strict=True))

    def _folder(self, name: str) -> Path:
        return (Path(self._study.out) if name in self._finished else self._sample_runs[-1].folder) / name

    def _counts(self, name: str) -> dict[str, Any]:
        return (self._finished[name] if name in self._finished else self._larger(name).manifest).counts

    def _larger(self, name: str) -> StageRun:
        return self._sample_runs[-1].stages[name]

    def _seconds(self, name: str) -> float:
        runs = [each.stages[name] for each in self._sample_runs]
        shares = [each.share for each in self._sample_runs]
        seconds = [run.seconds for run in runs]
        if name == TOKENIZER:  # counting grows with the text, learning with the distinct words
            words = [run.manifest.counts["distinct_words"] for run in runs]
            whole = words[-1] * (words[-1] / words[0]) ** (log_ratio(1 / shares[-1], shares[-1] / shares[0]))
            return extrapolate(list(zip(words, shares, strict=True)), seconds, (whole, 1.0))
        if name.startswith("rows"):
            texts = [run.manifest.counts["train"]["texts"] for run in runs]
            whole = texts[-1] / shares[-1]
            alone = extrapolate([(1, count) for count in texts], seconds, (1, whole))
            return alone / (available_cores() if whole > POSTS_WORTH_PROCESSES else 1)
        sample = self._samples.get(name.removeprefix("corpora/"))
        own = extrapolate([(1, share) for share in shares], seconds, (1, 1.0))
        return own + (sample.seconds / min(sample.parts, available_cores()) if sample else 0.0)

    def _work(self, name: str) -> str:
        counts, scale = self._counts(name), 1.0 if name in self._finished else 1 / self.share
        if name == LABELS:
            train, dev, test = self.split_sizes
            return f"{train:,} train, {dev:,} dev, {test:,} test texts"
        if name == TOKENIZER:
            return f"{counts['running_words'] * scale:,.0f} words"
        if name.startswith("rows"):
            train = counts["train"]
            return f"{train['text_tokens'] * scale:,.0f} tokens of {train['texts'] * scale:,.0f} posts"
        return f"{counts['read'] * scale:,.0f} posts read, {counts['kept'] * scale:,.0f} kept"


def log_ratio(one: float, other: float) -> float:
    """log(one) / log(other): how often `other` fits in `one` as a factor."""
    return float(math.log(one) / math.log(other))
