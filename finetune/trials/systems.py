"""The systems of a comparison: checkpoints, the same on cleaned texts, and baselines without an encoder."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.config import CompareConfig
from finetune.trials.baselines import BaselineResult, fit_tfidf, fit_word_vectors
from stackbert.core.errors import StackbertError, require

LINEAR, VECTORS = "TF-IDF + logistic regression", "averaged word vectors"
BASELINES: dict[str, Callable[..., BaselineResult]] = {LINEAR: fit_tfidf, VECTORS: fit_word_vectors}
CLEANED = ", cleaned text"
Kind = Literal["encoder", "linear", "vectors"]


@dataclass(frozen=True)
class System:
    """A way to label texts; one line of the comparison's table."""

    name: str
    kind: Kind
    checkpoint: str = ""
    """Folder, hub id or 'minilm'; empty for a baseline without an encoder."""
    cleaned: bool = False
    """Whether texts are cleaned of stop words, digits and punctuation."""

    def seeds(self, config: CompareConfig) -> tuple[int, ...]:
        """Seeds of its trials; the linear model is deterministic and has one."""
        return config.seeds[:1] if self.kind == "linear" else config.seeds

    def folder(self, parent: Path) -> Path:
        """Its folder in `parent`."""
        return parent / slug(self.name)


def systems_of(checkpoints: Mapping[str, str], config: CompareConfig) -> list[System]:
    """All systems, in the order of the table.

    Raises StackbertError if two names map to the same folder, or the baseline is not among the systems.
    """
    systems = [System(LINEAR, "linear")] if config.tfidf else []
    systems += [System(VECTORS, "vectors")] if config.word_vectors else []
    for name, checkpoint in checkpoints.items():
        systems.append(System(name, "encoder", checkpoint))
        if config.cleaned:
            systems.append(System(name + CLEANED, "encoder", checkpoint, cleaned=True))
    names = [system.name for system in systems]
    by_folder: dict[str, str] = {}
    for name in names:
        other = by_folder.setdefault(slug(name), name)
        if other != name or names.count(name) > 1:
            raise StackbertError(f"systems {other!r} and {name!r} differ in punctuation or case only; rename one")
    require(
        config.baseline in ("", *names), f"baseline {config.baseline!r} is not among the systems: {', '.join(names)}"
    )
    return systems


def slug(name: str) -> str:
    """A system's name as a folder name.

    >>> slug("Adapted, c++")
    'adapted-c'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "system"
