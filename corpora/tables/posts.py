"""Makes posts from the rows of a table."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from corpora.cells.columns import COLUMN_FIELDS, Columns
from corpora.cells.value import CellError, shown, text_of
from corpora.cleaning.cleaning import clean_title
from corpora.config import CorpusConfig
from corpora.files.encoding import BROKEN_BYTE
from corpora.raw_post import RawPost
from corpora.sources.source import Dropped, Outcome, bad_row, post_url
from corpora.tables.row import Row


def parse_rows(rows: Iterable[Row], config: CorpusConfig, columns: Columns) -> Iterator[Outcome]:
    """One outcome for each row."""
    for where, values in rows:
        yield values if isinstance(values, Dropped) else _post_or_reason(where, values, config, columns)


def _post_or_reason(where: str, values: Mapping[str, Any], config: CorpusConfig, columns: Columns) -> Outcome:
    try:
        title = text_of(values.get(config.title_column)) if config.title_column else ""
        body = text_of(values.get(config.body_column)) if config.body_column else ""
        given_id = post_id(values, config, columns)
        tags = columns.tags.read(values.get(config.tags_column)) if config.tags_column else ()
        created = columns.dates.read(values.get(config.date_column)) if config.date_column else None
    except CellError:
        return _bad_cell(where, values, config, columns)
    every_text = "".join((title, body, given_id, *tags))
    if not every_text.isascii():  # otherwise no character needs a look
        if BROKEN_BYTE.search(every_text):
            return bad_row(where, "not UTF-8", title or body)
        tags = tuple(tag.encode("utf-8", "replace").decode() for tag in tags)
    return RawPost(
        id=given_id,
        kind="question" if config.tags_column or title.strip() else "document",
        title=title,
        text=body,
        format=config.format,
        tags=tags,
        created=created,
        url=post_url(config, "question", given_id),
    )


def _bad_cell(where: str, values: Mapping[str, Any], config: CorpusConfig, columns: Columns) -> Dropped:
    """The bad row of a cell that cannot be read, with its column, value and kind."""
    readers = (columns.id, text_of, text_of, columns.tags.read, columns.dates.read)
    for field, read in zip(COLUMN_FIELDS, readers, strict=True):
        column = getattr(config, field)
        value = values.get(column) if column else None
        try:
            read(value)
        except CellError as error:
            return bad_row(where, f"column '{column}' for {field} holds {error}", shown(value))
    raise AssertionError("every cell can be read")


def post_id(values: Mapping[str, Any], config: CorpusConfig, columns: Columns) -> str:
    """The id of a row, on one line; raises CellError if the cell holds none."""
    return clean_title(columns.id(values.get(config.id_column))) if config.id_column else ""
