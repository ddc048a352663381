"""The commands 'stackbert corpora VERB'; what they call is imported when they are called."""

import sys
from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from corpora.config import CorpusConfig, LabelConfig, PlanConfig


def build(config: OmitArgPrefixes[CorpusConfig], out: Path) -> None:
    """Read a dump, a table, a folder or the installed packages' documentation into clean, de-duplicated posts.

    Args:
        out: Folder to write.
    """
    from corpora.build.build import build_corpus

    build_corpus(out, config)


def plan(config: OmitArgPrefixes[CorpusConfig], plan: OmitArgPrefixes[PlanConfig]) -> None:
    """Build a sample of a dump on one core, and say what the whole takes on others like it."""
    from corpora.build.plan import plan_corpus

    print(plan_corpus(config, plan))


def label(corpora: Positional[tuple[Path, ...]], config: OmitArgPrefixes[LabelConfig], out: Path) -> None:
    """Turn the posts' tags into a labelled set, and keep its test and dev texts out of the text for pretraining.

    Args:
        corpora: Outputs of 'corpora build'.
        out: Folder to write.
    """
    from corpora.labels.label import build_labels

    build_labels(list(corpora), out, config)


def audit(posts: Positional[Path], labels: Positional[Path], out: Path | None = None, strict: bool = False) -> None:
    """Count what a text for pretraining gives away of a labelled set's test and dev posts.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build', or a folder of posts.
        labels: Output of 'corpora label', or a labelled set made by hand.
        out: JSON file to write.
        strict: End with status 1 where anything is found.
    """
    from corpora.contamination.audit import audit

    found = audit(posts, labels, out)
    print(found)
    if strict and found.total:
        sys.exit(1)


def attribution(corpus: Positional[Path], out: Path) -> None:
    """List who wrote the posts of a corpus, where, and under which licence.

    Args:
        corpus: Output of 'corpora build'.
        out: File to write, .md or .csv.
    """
    from corpora.datasheet.attribution import write_attribution

    print(write_attribution(corpus, out))


def datasheet(corpus: Positional[Path], out: Path | None = None) -> None:
    """Describe a corpus for those who will use it: datasheet.md with its plots.

    Args:
        corpus: Output of 'corpora build'.
        out: Folder to write; without it, the corpus's name with '-datasheet'.
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
