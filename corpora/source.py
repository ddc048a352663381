"""What every source gives: chunks of raw rows, and a function that makes posts of a chunk in any process."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.config import CorpusConfig
from corpora.post import Post

BAD_ROW = "bad_row"
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class Dropped:
    """A row that did not become a post."""

    reason: str
    """The name it is counted under."""
    where: str = ""
    """'byte 1234', 'line 17'."""
    detail: str = ""
    """What was wrong with it, for a person."""
    excerpt: str = ""


Outcome = Post | Dropped


@dataclass(frozen=True)
class Source:
    """Where posts come from."""

    inputs: Mapping[str, Path | str]
    """What the manifest names as read."""
    chunks: Callable[[], Iterator[list[Any]]]
    """Rows as they were read, cheaply, in order."""
    parse: Callable[[list[Any]], list[Outcome]]
    """Makes one outcome of each row; sent to other processes, so a function of a module or a partial of one."""


def bad_row(where: str, detail: str, content: str | bytes) -> Dropped:
    """A row to be set aside, with its beginning."""
    head = content[: EXCERPT_CHARACTERS * 4]
    text = head.decode(errors="replace") if isinstance(head, bytes) else head.encode(errors="replace").decode()
    return Dropped(BAD_ROW, where, detail, text[:EXCERPT_CHARACTERS])


def kept_or_dropped(post: Post, config: CorpusConfig) -> Outcome:
    """The post, unless it is shorter, or has a lower score, than asked for."""
    if config.min_score is not None and post.score is not None and post.score < config.min_score:
        return Dropped("low_score")
    return post if len(post.whole_text) >= config.min_characters else Dropped("too_short")


def post_url(config: CorpusConfig, kind: str, post_id: str) -> str | None:
    """Address of a post on the configured site; None where the id is not the site's."""
    if not config.site or not post_id.isdecimal():
        return None
    return f"https://{config.site}/{'a' if kind == 'answer' else 'q'}/{post_id}"
