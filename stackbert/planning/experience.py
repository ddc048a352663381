"""What phases of tags brought where they were measured: a rule of thumb before the run."""

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
    Measured("Stack Overflow", 2_681, 76_556, 1_000, 2.6),
    Measured("documentation of Python packages", 1_115, 30_609, 500, 6.7),
    Measured("another domain", 425, 10_318, 1_000, 0.0),
)


def tags_note(checkpoint: str, tags: int, posts: int) -> str:
    """A sentence about a phase that predicts so many tags on so many posts.

    >>> tags_note("pretrained/tags", 425, 10_318)[:75]
    'pretrained/tags: 425 tags outside the labels on 10,318 posts. Measured on a'
    """
    known = "; ".join(
        f"{one.text}, {one.tags:,} tags on {one.posts:,} posts: {one.points:+.1f} points with {one.labels:,} labels"
        for one in MEASURED
    )
    return f"{checkpoint}: {tags:,} tags outside the labels on {posts:,} posts. Measured on a frozen encoder: {known}."
