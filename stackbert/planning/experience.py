"""What phases of tags brought where they were measured: a rule of thumb before the run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """MiniLM after a phase of tags, against MiniLM (docs/howto/which-objective.md)."""

    text: str
    tags: int
    """That were predicted."""
    posts: int
    """With one of them."""
    points: float
    """Of weighted F1, frozen encoder, 1,000 labelled texts."""


MEASURED = (
    Measured("Stack Overflow", 2_681, 76_556, 0.0),
    Measured("documentation of Python packages", 1_115, 30_609, 0.0),
)


def tags_note(checkpoint: str, tags: int, posts: int) -> str:
    """A sentence about a phase that predicts so many tags on so many posts.

    >>> tags_note("pretrained/tags", 425, 10_318)[:75]
    'pretrained/tags: 425 tags outside the labels on 10,318 posts. Measured with'
    """
    known = "; ".join(
        f"{one.points:+.1f} points with {one.tags:,} tags on {one.posts:,} posts ({one.text})" for one in MEASURED
    )
    return f"{checkpoint}: {tags:,} tags outside the labels on {posts:,} posts. Measured with 1,000 labels: {known}."
