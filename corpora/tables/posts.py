"""Makes posts from the rows of a table."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from corpora.cleaning.cleaning import clean_title
from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.source import Dropped, Outcome, bad_row, post_url
from corpora.sources.tags import parse_tags
from corpora.tables.row import Row

BROKEN_BYTE = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, decoded with errors="surrogateescape"

_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0")  # pandas writes integer ids as floats if a column has gaps


def parse_rows(rows: Iterable[Row], config: CorpusConfig) -> Iterator[Outcome]:
    """One outcome for each row."""
    for where, values in rows:
        yield values if isinstance(values, Dropped) else _post_or_reason(where, values, config)


def _post_or_reason(where: str, values: Mapping[str, Any], config: CorpusConfig) -> Outcome:
    title, body = text_of(values, config.title_column), text_of(values, config.body_column)
    tags = parse_tags(values.get(config.tags_column)) if config.tags_column else ()
    given_id = id_of(values, config.id_column)
    if any(BROKEN_BYTE.search(text) for text in (title, body, given_id, *tags)):
        return bad_row(where, "not UTF-8", title or body)
    return RawPost(
        id=given_id,
        kind="question" if config.tags_column or title.strip() else "document",
        title=title,
        text=body,
        format=config.format,
        tags=tuple(tag.encode("utf-8", "replace").decode() for tag in tags),
        url=post_url(config, "question", given_id),
    )


def text_of(values: Mapping[str, Any], column: str | None) -> str:
    """The text of a cell; empty for a missing value or column."""
    value = values.get(column) if column else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else str(value)


def id_of(values: Mapping[str, Any], column: str | None) -> str:
    """The id in a cell, on one line."""
    text = clean_title(text_of(values, column))
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole else text
