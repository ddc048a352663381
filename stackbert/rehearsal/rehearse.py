"""Rehearses a study: every stage in minutes, before hours of a TPU are paid."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Literal

from corpora.build.build import open_source
from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.source import Parts
from corpora.tables.arrow_rows import HUB
from stackbert.core.artifact import Manifest
from stackbert.core.errors import require
from stackbert.rehearsal.shrink import shrink_study
from stackbert.rehearsal.stand_in import stand_in_texts, write_stand_in
from stackbert.rehearsal.tiny_checkpoint import published_layout, write_tiny_checkpoint
from stackbert.study import Study, named_checkpoints, run_study

SUFFIX = "-rehearsal"
MARK = "REHEARSAL.txt"
"""Names the folder as one that a rehearsal may empty."""
NOTICE = "A rehearsal: tiny random checkpoints and a few texts. Its figures mean nothing."
SAMPLED_POSTS = 500
"""Of each source, to learn the tiny vocabularies from."""


def rehearse_study(study: Study) -> Manifest:
    """Run the study in miniature into the folder `study.out` + SUFFIX, which is made anew.

    Settings, names, lengths and the checkpoints' layouts are the study's; sizes, weights and vocabularies are not.
    Raises StackbertError for whatever would stop the study, and for a checkpoint whose layout cannot be known.
    """
    out = Path(study.out.rstrip("/") + SUFFIX)
    _empty(out)
    print(f"{NOTICE}\nIts output: {out}")
    language = _language(study)
    corpora, texts = {}, stand_in_texts(language)
    for number, (name, config) in enumerate(study.corpora.items()):
        if _is_here(config, Path(study.data)):
            corpora[name] = config
            texts += _sample(config, Path(study.data))
            print(f"corpus '{name}': the first posts of its data")
        else:
            corpora[name] = write_stand_in(config, language, out / "stand-in" / f"{name}.jsonl", number)
            print(f"corpus '{name}': {config.path} is not here; made-up posts stand in, so its columns are not checked")
    places = {}
    for number, name in enumerate(_checkpoints(study), 1):
        places[name], how = write_tiny_checkpoint(name, texts, out / "checkpoints" / str(number))
        print(f"checkpoint {name}: {how}{_conversion(name)}")
    manifest = run_study(shrink_study(study, str(out), corpora), places)
    print(f"\n{NOTICE}\nEvery stage of the study ran.")
    return manifest


def _empty(out: Path) -> None:
    """Make the folder anew; raises StackbertError where it is not an earlier rehearsal's."""
    require(
        not out.exists() or (out / MARK).is_file(),
        f"{out}: is in the way of the rehearsal, which would replace it; move it, or name another --out",
    )
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).write_text(f"{NOTICE}\n", "utf-8")


def _checkpoints(study: Study) -> list[str]:
    extended = [study.tokenizer.extend] if study.tokenizer.extend else []
    return list(dict.fromkeys([*named_checkpoints(study), *extended]))


def _language(study: Study) -> Literal["en", "fr"]:
    """The language of the base, for the made-up posts; English for a base that is not known."""
    layout = published_layout(study.pretrain.base)
    return layout.language if layout else "en"


def _is_here(config: CorpusConfig, data: Path) -> bool:
    """Whether a corpus can be read on this machine without the network."""
    return config.source == "packages" or (not config.path.startswith(HUB) and (data / config.path).exists())


def _sample(config: CorpusConfig, data: Path) -> list[str]:
    return list(islice(_texts(config, data), SAMPLED_POSTS))


def _texts(config: CorpusConfig, data: Path) -> Iterator[str]:
    source = open_source(config, data)
    rows = source.rows
    parts = map(rows.read, range(rows.count)) if isinstance(rows, Parts) else rows.read()
    for part in parts:
        for outcome in source.parse(part):
            if isinstance(outcome, RawPost):
                yield f"{outcome.title} {outcome.text}"


def _conversion(name: str) -> str:
    layout = published_layout(name)
    if layout is None or not layout.pytorch_only:
        return ""
    there = "is" if find_spec("torch") else "is not"
    return f"; published as pytorch_model.bin, so the study needs PyTorch to convert it, which {there} installed here"
