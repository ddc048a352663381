"""The rows of a comparison: checkpoints, the same on cleaned texts, and what they must beat."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.compare.baselines import BaselineResult, fit_tfidf, fit_word_vectors
from finetune.config import CompareConfig
from stackbert.core.errors import StackbertError, require

LINEAR, VECTORS = "TF-IDF + logistic regression", "averaged word vectors"
BASELINES: dict[str, Callable[..., BaselineResult]] = {LINEAR: fit_tfidf, VECTORS: fit_word_vectors}
CLEANED = ", cleaned text"


@dataclass(frozen=True)
class Row:
    """One way to label texts."""

    name: str
    kind: Literal["encoder", "linear", "vectors"]
    checkpoint: str = ""
    """Of an encoder: a folder, a hub id or 'minilm'."""
    cleaned: bool = False
    """Whether it reads the texts without stop words, digits and punctuation."""

    def seeds(self, config: CompareConfig) -> tuple[int, ...]:
        """The seeds it is made with; a linear model has nothing random."""
        return config.seeds[:1] if self.kind == "linear" else config.seeds

    def folder(self, parent: Path) -> Path:
        """Its own folder in `parent`."""
        return parent / slug(self.name)


def rows_of(checkpoints: Mapping[str, str], config: CompareConfig) -> list[Row]:
    """All rows in the order of the table.

    Raises StackbertError for names that would share a folder, and for a baseline that is none of them.
    """
    rows = [Row(LINEAR, "linear")] if config.tfidf else []
    rows += [Row(VECTORS, "vectors")] if config.word_vectors else []
    for name, checkpoint in checkpoints.items():
        rows.append(Row(name, "encoder", checkpoint))
        if config.cleaned:
            rows.append(Row(name + CLEANED, "encoder", checkpoint, cleaned=True))
    places: dict[str, str] = {}
    for row in rows:
        other = places.setdefault(slug(row.name), row.name)
        if other != row.name or sum(row.name == each.name for each in rows) > 1:
            raise StackbertError(f"rows {other!r} and {row.name!r} differ in punctuation or case only; rename one")
    names = [row.name for row in rows]
    require(config.baseline in ("", *names), f"baseline {config.baseline!r} is not among the rows: {', '.join(names)}")
    return rows


def slug(name: str) -> str:
    """A row's name as that of a folder.

    >>> slug("Adapted, c++")
    'adapted-c'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "row"
