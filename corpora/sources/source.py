"""What every source gives: rows as they were read, and a function that makes documents of them in any process."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from datatrove.data import Document

from corpora.config import CorpusConfig

BAD_ROW = "bad_row"
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class Dropped:
    """A row that did not become a post."""

    reason: str
    """The name it is counted under."""
    where: str = ""
    """'byte 1234', 'line 17', 'post 4'."""
    detail: str = ""
    """What was wrong with it, for a person."""
    excerpt: str = ""


Outcome: TypeAlias = Document | Dropped


@dataclass(frozen=True)
class Parts:
    """Rows in parts that can be read at the same time, on many machines."""

    count: int
    read: Callable[[int], Iterable[Any]]
    """The rows of a part."""


@dataclass(frozen=True)
class Stream:
    """Rows that only one process can read, from the beginning to the end, in parts that others parse."""

    read: Callable[[], Iterator[list[Any]]]


@dataclass(frozen=True)
class Source:
    """Where posts come from; what it calls are functions of modules or partials of them, for other processes."""

    inputs: Mapping[str, Path | str]
    """What the manifest names as read."""
    parse: Callable[[Iterable[Any]], Iterable[Outcome]]
    """Makes one outcome of each row of a part."""
    rows: Parts | Stream


def document(
    *,
    id: str,
    kind: str,
    title: str,
    text: str,
    format: Literal["auto", "html", "text"] = "text",
    tags: tuple[str, ...] = (),
    parent_id: str | None = None,
    score: int | None = None,
    created: str | None = None,
    license: str | None = None,
    url: str | None = None,
    author: str | None = None,
    closed: bool = False,
) -> Document:
    """A post as it was read, not yet cleaned, in the form that datatrove's steps hand on; fields as of Post."""
    metadata = {
        "kind": kind,
        "title": title,
        "format": format,
        "tags": tags,
        "parent_id": parent_id,
        "score": score,
        "created": created,
        "license": license,
        "url": url,
        "author": author,
        "duplicate_of": (),
        "closed": closed,
    }
    return Document(text=text, id=id, metadata=metadata)


def bad_row(where: str, detail: str, content: str | bytes) -> Dropped:
    """A row to be set aside, with its beginning."""
    head = content[: EXCERPT_CHARACTERS * 4]
    text = head.decode(errors="replace") if isinstance(head, bytes) else head.encode(errors="replace").decode()
    return Dropped(BAD_ROW, where, detail, text[:EXCERPT_CHARACTERS])


def post_url(config: CorpusConfig, kind: str, post_id: str) -> str | None:
    """Address of a post on the configured site; None where the id is not the site's."""
    if not config.site or not post_id.isdecimal():
        return None
    return f"https://{config.site}/{'a' if kind == 'answer' else 'q'}/{post_id}"
