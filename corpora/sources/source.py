"""What every source returns: raw rows, and a function that parses them into posts in any process."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from corpora.config import CorpusConfig
from corpora.raw_post import RawPost

BAD_ROW = "bad_row"
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class Dropped:
    """A row that does not become a post."""

    reason: str
    """Name under which it is counted."""
    where: str = ""
    """'byte 1234', 'line 17', 'post 4'."""
    detail: str = ""
    """What is wrong with it, in words."""
    excerpt: str = ""
    """Its first characters."""


Outcome: TypeAlias = RawPost | Dropped


@dataclass(frozen=True)
class Parts:
    """Rows in parts that can be read independently, on many machines."""

    count: int
    read: Callable[[int], Iterable[Any]]
    """Number of a part -> its rows."""


@dataclass(frozen=True)
class Stream:
    """Rows that one process must read from beginning to end; other processes parse its parts."""

    read: Callable[[], Iterator[list[Any]]]
    """Yields the rows of each part."""


@dataclass(frozen=True)
class Source:
    """Where posts come from; its callables can be pickled for other processes: module functions or partials."""

    inputs: Mapping[str, Path | str]
    """Inputs as the manifest names them."""
    parse: Callable[[Iterable[Any]], Iterable[Outcome]]
    """Rows of a part -> one outcome for each row."""
    rows: Parts | Stream
    notes: tuple[str, ...] = ()
    """How it is read, for people: one line each."""


def first_parts(source: Source, count: int) -> Source:
    """The source with its first `count` parts only."""
    rows = source.rows
    if isinstance(rows, Parts):
        return replace(source, rows=Parts(min(count, rows.count), rows.read))
    return replace(source, rows=Stream(partial(_first_of, rows.read, count)))


def _first_of(read: Callable[[], Iterator[list[Any]]], count: int) -> Iterator[list[Any]]:
    return islice(read(), count)


def bad_row(where: str, detail: str, content: str | bytes) -> Dropped:
    """A row that cannot be read, with an excerpt for rejected.jsonl."""
    head = content[: EXCERPT_CHARACTERS * 4]
    text = head.decode(errors="replace") if isinstance(head, bytes) else head.encode(errors="replace").decode()
    return Dropped(BAD_ROW, where, detail, text[:EXCERPT_CHARACTERS])


def post_url(config: CorpusConfig, kind: str, post_id: str) -> str | None:
    """URL of a post on config.site; None without a site, or for an id that is no number of the site."""
    if not config.site or not post_id.isdecimal():
        return None
    return f"https://{config.site}/{'a' if kind == 'answer' else 'q'}/{post_id}"
