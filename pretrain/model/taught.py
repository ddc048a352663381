"""What a checkpoint was taught besides tokens: tags, and the keys of the texts whose tags, pairs or words taught it.

A comparison refuses a checkpoint that was taught its labels or its test posts. The record therefore goes with the
checkpoint: a later phase of pretraining and a merge hand it on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from corpora.arrays import Keys
from corpora.text_keys import text_keys
from stackbert.core.artifact import write_json
from stackbert.core.errors import StackbertError, require
from tokenizer.encoding.packed_rows import load_text_keys
from tokenizer.encoding.tag_targets import TARGETS_FILE, load_targets

TAGS_FILE, KEYS_FILE = "taught_tags.json", "taught_texts.npy"
ADVICE = (
    "adapt it with this labelled set: 'tokenizer encode LABELS TOKENIZER' with '--targets tags', 'pairs' or 'words' "
    "leaves them out"
)


@dataclass(frozen=True, eq=False)
class Taught:
    """Tags and texts; none for a checkpoint of language modelling alone, texts only for one of pairs or words."""

    tags: tuple[str, ...] = ()
    keys_N: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Keys of the texts, ascending: see corpora.text_keys. Of posts with title and body those of both, too."""

    def with_rows(self, rows: Path) -> "Taught":
        """Together with the targets of packed rows, or their pairs."""
        targets = rows / TARGETS_FILE
        tags = dict.fromkeys((*self.tags, *(load_targets(targets) if targets.is_file() else ())))
        return Taught(tuple(tags), np.union1d(self.keys_N, load_text_keys(rows)))

    def labels(self, names: Iterable[str]) -> list[str]:
        """Those of the names that are taught tags, whatever their case."""
        taught = {tag.casefold() for tag in self.tags}
        return [name for name in names if name.casefold() in taught]

    def refuse(self, name: str, labels: Sequence[str], splits: Mapping[str, Sequence[str]]) -> None:
        """Raise StackbertError where a label was taught, or what a text of the splits was a target of.

        The score of `name` would tell what it was taught, not what it can learn from the training texts.
        """
        known = self.labels(labels)
        require(not known, f"{name}: was taught {', '.join(known)}, which are labels here; {ADVICE}")
        for split, texts in splits.items():
            keys_N = text_keys([""] * len(texts), list(texts)).wholes_N
            count = int(np.isin(keys_N[keys_N != 0], self.keys_N).sum())
            found = f"{count:,} of the {len(texts):,} {split} texts"
            require(not count, f"{name}: was taught tags, pairs or words of {found}; {ADVICE}")

    def save(self, folder: Path) -> None:
        """Write TAGS_FILE and KEYS_FILE; nothing where nothing was taught."""
        if self.tags or len(self.keys_N):
            write_json(folder / TAGS_FILE, list(self.tags))
            np.save(folder / KEYS_FILE, self.keys_N, allow_pickle=False)


def load_taught(checkpoint: Path) -> Taught:
    """What the checkpoint in this folder was taught; raises StackbertError where one of the two files is missing."""
    tags, keys = checkpoint / TAGS_FILE, checkpoint / KEYS_FILE
    if not tags.is_file() and not keys.is_file():
        return Taught()
    try:
        return Taught(tuple(json.loads(tags.read_text("utf-8"))), np.load(keys, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise StackbertError(
            f"{checkpoint}: its record of taught tags and texts ({TAGS_FILE}, {KEYS_FILE}) cannot be read: {error}; "
            "copy the checkpoint again, whole"
        ) from None
