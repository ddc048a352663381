"""The corpora of a labelled set: which shards of its pretraining text are whose."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from corpora.post import PRETRAINING, pretraining_posts, shards
from stackbert.core.artifact import load_manifest, require_artifact
from stackbert.core.errors import StackbertError, nearest_hint, require

LABEL_STAGE = "corpora label"
CORPORA = "corpora"
"""The manifest's count of each corpus's shards, in order. An input shard gives an output shard of its number, or none
where no post of it is kept."""


def list_corpora(corpora: Sequence[Path]) -> list[dict[str, Any]]:
    """Name and number of shards of each corpus, for the manifest."""
    return [{"name": corpus.name, "shards": len(shards(corpus))} for corpus in corpora]


def corpus_shards(labelled_set: Path) -> dict[str, list[Path]]:
    """The shards of pretraining text by the name of their corpus, which is that of its folder.

    Raises StackbertError for a set of an earlier version, which does not record it, and where two corpora have the same
    name.
    """
    recorded = require_artifact(labelled_set, LABEL_STAGE).counts.get(CORPORA)
    if recorded is None:
        raise StackbertError(
            f"{labelled_set}: does not record its corpora, as it was made by an earlier version; make it again with "
            f"'stackbert {LABEL_STAGE}'"
        )
    names = [str(corpus["name"]) for corpus in recorded]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise StackbertError(f"{labelled_set}: two of its corpora are called {', '.join(twice)}; rename a folder")
    ends = list(accumulate(int(corpus["shards"]) for corpus in recorded))
    found: dict[str, list[Path]] = {name: [] for name in names}
    for path in shards(labelled_set / PRETRAINING):
        number = int(path.stem.rpartition("-")[2])
        found[next(name for name, end in zip(names, ends, strict=True) if number < end)].append(path)
    return found


def weighted_shards(posts: Path, weights: Mapping[str, float]) -> dict[Path, float]:
    """The shards to read of a corpus or a labelled set, each with the share of its posts; all without `weights`.

    `weights` are by the corpus's name. Raises StackbertError for names that the labelled set does not have, and for a
    corpus, which has no parts to weigh.
    """
    if not weights:
        return dict.fromkeys(shards(pretraining_posts(posts)), 1.0)
    require(
        load_manifest(posts).stage == LABEL_STAGE,
        f"{posts}: weights are those of the corpora of a labelled set, and this is one corpus; leave them out",
    )
    found = corpus_shards(posts)
    for name in weights:
        require(
            name in found,
            f"weights: {posts} has no corpus {name!r}{nearest_hint(name, list(found))}; it has {', '.join(found)}",
        )
    chosen = {path: weights[name] for name, paths in found.items() if weights.get(name) for path in paths}
    require(bool(chosen), f"{posts}: no pretraining text of {', '.join(weights)} was kept; name another corpus")
    return chosen
