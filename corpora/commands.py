"""The commands 'stackbert corpora VERB'; each imports its implementation when it is called."""

import sys
from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from corpora.config import CorpusConfig, LabelConfig, PlanConfig


def build(config: OmitArgPrefixes[CorpusConfig], out: Path) -> None:
    """Build a corpus of clean, de-duplicated posts from a dump, a table, a folder or installed packages.

    Args:
        out: Folder to write.
    """
    from corpora.build.build import build_corpus

    build_corpus(out, config)


def plan(config: OmitArgPrefixes[CorpusConfig], plan: OmitArgPrefixes[PlanConfig]) -> None:
    """Build a sample of a dump on one core, and project time, disk and memory for the whole."""
    from corpora.build.plan import plan_corpus

    print(plan_corpus(config, plan))


def label(corpora: Positional[tuple[Path, ...]], config: OmitArgPrefixes[LabelConfig], out: Path) -> None:
    """Make a labelled set from the posts' tags, and text for pretraining that does not contaminate it.

    Args:
        corpora: Outputs of 'corpora build'.
        out: Folder to write.
    """
    from corpora.labels.label import build_labels

    build_labels(list(corpora), out, config)


def audit(posts: Positional[Path], labels: Positional[Path], out: Path | None = None, strict: bool = False) -> None:
    """Count the posts of a text that contaminate a labelled set's test and dev posts.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build', or a folder of posts.
        labels: Output of 'corpora label', or a labelled set made by hand.
        out: JSON file to write.
        strict: Exit with status 1 if any contamination is found.
    """
    from corpora.contamination.audit import audit

    found = audit(posts, labels, out)
    print(found)
    if strict and found.total:
        sys.exit(1)


def attribution(corpus: Positional[Path], out: Path) -> None:
    """Write the author, licence and URL of each post of a corpus.

    Args:
        corpus: Output of 'corpora build'.
        out: File to write, .md or .csv.
    """
    from corpora.datasheet.attribution import write_attribution

    print(write_attribution(corpus, out))


def datasheet(corpus: Positional[Path], out: Path | None = None) -> None:
    """Describe a corpus for its users: datasheet.md and plots.

    Args:
        corpus: Output of 'corpora build'.
        out: Folder to write; by default, the corpus's name with '-datasheet'.
    """
    from corpora.datasheet.datasheet import write_datasheet

    print(write_datasheet(corpus, out).folder / "datasheet.md")


COMMANDS: dict[str, Callable[..., None]] = {
    "corpora build": build,
    "corpora label": label,
    "corpora plan": plan,
    "corpora audit": audit,
    "corpora attribution": attribution,
    "corpora datasheet": datasheet,
}
