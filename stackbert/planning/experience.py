"""What phases of tags brought where they were measured: a rule of thumb before the run."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """MiniLM after a phase of tags, against MiniLM: docs/howto/which-objective.md."""

    text: str
    tags: int
    """That were predicted."""
    posts: int
    """With one of them."""
    labels: int
    """Labelled texts."""
    points: float
    """Of weighted F1, on the frozen encoder."""


MEASURED = (
    Measured("Stack Overflow", 2_681, 76_556, 1_000, 2.5),
    Measured("documentation of Python packages", 977, 26_309, 1_000, 6.2),
    Measured("another domain", 425, 10_318, 1_000, 0.0),
)


def tags_notes(phases: Mapping[str, tuple[int, int]]) -> list[str]:
    """A sentence for each phase, with the tags that it predicts and the posts with one, and what others brought.

    >>> tags_notes({"pretrained/tags": (425, 10_318)})[0]
    'pretrained/tags: 425 tags outside the labels on 10,318 posts.'
    """
    known = "; ".join(
        f"{one.text}, {one.tags:,} tags on {one.posts:,} posts: {one.points:+.1f} points with {one.labels:,} labels"
        for one in MEASURED
    )
    found = [f"{name}: {tags:,} tags outside the labels on {posts:,} posts." for name, (tags, posts) in phases.items()]
    return [*found, f"Phases of tags, measured on a frozen encoder: {known}."] if found else []
