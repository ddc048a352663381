"""The text stages of a study, run on samples of its own text in a temporary folder."""

import contextlib
import io
import json
import math
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from corpora.build.build import build_corpus
from corpora.build.sample import Sample, sample_source
from corpora.labels.label import build_labels
from corpora.sources.source import Source
from stackbert.adaptations import LABELS, OWN, distinct_phases
from stackbert.core.artifact import Manifest
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError
from stackbert.study import TOKENIZER, Study, chains_of, trains_vocabulary
from tokenizer.config import EncodeConfig
from tokenizer.encoding.encode import encode_rows
from tokenizer.files.tokenizer_checks import found_files
from tokenizer.vocabulary.train import train_tokenizer

VOCABULARY, SETTINGS = "tokenizer.json", "tokenizer_config.json"
THINNING = 4  # the smaller sample has every fourth row of the larger one


@dataclass(frozen=True)
class StageRun:
    """One stage as it was run on a sample."""

    manifest: Manifest
    seconds: float


@dataclass
class SampleRun:
    """The runs of the text stages on one sample, by their folders' names in that of the study."""

    folder: Path
    share: float
    """Of the study's text."""
    stages: dict[str, StageRun] = field(default_factory=dict)

    @property
    def tokenizer(self) -> Path:
        """The sample's vocabulary, filled up to the size of the study's."""
        return self.folder / "filled"

    def run(self, name: str, stage: Callable[[Path], Manifest]) -> Path:
        """Run a stage, without what it prints; returns its folder."""
        start = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            manifest = stage(self.folder / name)
        self.stages[name] = StageRun(manifest, time.monotonic() - start)
        return self.folder / name


def run_samples(study: Study, most: int, seconds: float, folder: Path) -> tuple[list[SampleRun], dict[str, Sample]]:
    """Run the stages up to the packed rows on a small and on a larger sample of about `most` rows of the sources.

    Returns both, and the larger sample of each corpus. Raises StackbertError where a sample is too small for a stage.
    """
    samples = _samples(study, most, seconds)
    runs = []
    whole = min(sample.share for sample in samples.values())
    advice = f"raise sample_rows, now {most:,}" if whole < 1 else "so little text needs no plan: run the study"
    for thinning in (THINNING, 1):
        share = whole / thinning
        sample_run = SampleRun(folder / f"sample-{thinning}", share)
        print(f"measuring the text stages on {share:.3%} of the text", file=sys.stderr, flush=True)
        try:
            _run_stages(study, {name: sample.thinned(thinning) for name, sample in samples.items()}, sample_run)
        except StackbertError as error:
            if share >= 1:
                raise
            raise StackbertError(f"{share:.3%} of the text is too small a sample: {error}; {advice}") from None
        runs.append(sample_run)
    return runs, samples


def _samples(study: Study, most: int, seconds: float) -> dict[str, Sample]:
    """The same share of each corpus, about `most` rows together."""
    data = Path(study.data)
    found = {name: sample_source(config, data, most, seconds) for name, config in study.corpora.items()}
    rows = sum(len(sample.rows) / sample.share for sample in found.values())
    share = min(1.0, most / rows, *(sample.share for sample in found.values()))
    return {name: sample.reduced(share) for name, sample in found.items()}


def _run_stages(study: Study, sources: dict[str, Source], sample_run: SampleRun) -> None:
    run, data = sample_run.run, Path(study.data)
    corpora = []
    for name, config in study.corpora.items():
        build = partial(build_corpus, config=config, data=data, source=sources[name])
        corpora.append(run(f"corpora/{name}", build))
    labels = run(LABELS, lambda out: build_labels(corpora, out, study.labels))
    if trains_vocabulary(study):
        extended = resolve_base(study.tokenizer.extend) if study.tokenizer.extend else None
        trained = run(TOKENIZER, lambda out: train_tokenizer(labels, out, study.tokenizer, extended))
        fill_vocabulary(trained, sample_run.tokenizer, study.tokenizer.vocab_size)
    for phase in {phase.rows: phase for phase in distinct_phases(chains_of(study))}.values():
        tokenizer = sample_run.tokenizer if phase.vocabulary == OWN else resolve_base(study.pretrain.base)
        posts = math.ceil(phase.encode.max_posts * sample_run.share)
        encoding = replace(phase.encode, max_posts=posts, processes=1)
        run(phase.rows, partial(_encode, labels, tokenizer, encoding))


def _encode(labels: Path, tokenizer: Path, config: EncodeConfig, out: Path) -> Manifest:
    return encode_rows(labels, tokenizer, out, config)


def fill_vocabulary(trained: Path, filled: Path, size: int) -> None:
    """Copy a tokenizer with unused tokens up to `size`: a sample has too few words for the whole vocabulary, but its
    size decides how large and fast the model is."""
    filled.mkdir()
    for name in found_files(trained):
        if name in (VOCABULARY, SETTINGS):
            shutil.copy(trained / name, filled / name)
    path = filled / VOCABULARY
    content = json.loads(path.read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    unused = (f"[unused{number}]" for number in range(len(vocabulary), size))
    if isinstance(vocabulary, dict):
        vocabulary.update((token, len(vocabulary) + number) for number, token in enumerate(unused))
    else:
        worst = min(score for _, score in vocabulary)
        vocabulary += [[token, worst] for token in unused]
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
