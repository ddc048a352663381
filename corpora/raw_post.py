"""A post between its source and its Post: not yet clean, and changed in place while its part is built."""

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class RawPost:
    """A post as its source holds it; fields as in Post, and some that later steps need."""

    id: str
    """Empty where the source has none; it is then made from the content."""
    kind: str
    title: str
    text: str
    """The body, in `format` until it is cleaned."""
    format: Literal["auto", "html", "text"] = "text"
    tags: tuple[str, ...] = ()
    parent_id: str | None = None
    score: int | None = None
    created: str | None = None
    license: str | None = None
    url: str | None = None
    author: str | None = None
    duplicate_of: tuple[str, ...] = ()
    accepted_answer_id: str | None = None
    closed: bool = False
    """Whether the question was closed on its site."""
    removed: int = 0
    """Characters that XML forbids and the row held; they are not in the texts."""
    prose: str | None = None
    """The body without its code, to identify the language; None where that is not needed."""
