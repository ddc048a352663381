"""A table with user-named columns as a source of posts."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from corpora.config import CorpusConfig
from corpora.sources.source import Dropped, Source, Stream
from corpora.tables.arrow_rows import HUB, hub_address, hub_rows
from corpora.tables.files import table_rows
from corpora.tables.posts import id_of, parse_rows, text_of
from corpora.tables.row import ROWS_PER_BATCH, Row, Rows
from corpora.tables.tag_table import TagTable
from stackbert.core.errors import StackbertError, nearest_hint

ROWS_PER_PART = 100_000  # at most; fewer where they reach the configured size of a part
COLUMN_FIELDS = ("id_column", "title_column", "body_column", "tags_column")


def table_source(path: Path, config: CorpusConfig, tags_path: Path | None = None) -> Source:
    """The posts of a table; `path` is unused for 'hub:' data sets, `tags_path` is the resolved config.tags_path."""
    inputs: dict[str, Path | str] = {"source": path}
    own = COLUMN_FIELDS[:-1] if config.tags_path else COLUMN_FIELDS
    columns = [getattr(config, field) for field in own if getattr(config, field)]
    rows = partial(table_rows, path, config.dialect, columns)
    if config.path.startswith(HUB):
        name, revision, split = hub_address(config.path)
        inputs = {"source": f"{name}@{revision}"}
        rows = partial(hub_rows, name, revision, split)
    if config.tags_path:
        tags_path = tags_path or Path(config.tags_path)
        _require_join(tags_path, config)
        inputs["tags"] = tags_path
        rows = partial(_joined_rows, rows, tags_path, config)
    return Source(inputs, partial(parse_rows, config=config), Stream(partial(_parts, rows, config)))


def load_tag_table(path: Path, config: CorpusConfig) -> TagTable:
    """The tags of a table with one row per post and tag; its columns are id_column and tags_column.

    Raises StackbertError for missing columns, and if the share of bad rows exceeds config.max_rejected_share.
    """
    read, bad = 0, list[Dropped]()

    def pairs() -> Iterator[tuple[str, tuple[str, ...]]]:
        nonlocal read
        for _, values in table_rows(path, config.dialect):
            read += 1
            if isinstance(values, Dropped):
                bad.append(values)
                continue
            if read - len(bad) == 1:  # the first row that can be read
                _require_columns([values], str(path), config, ("id_column", "tags_column"))
            yield id_of(values, config.id_column), (text_of(values, config.tags_column).strip(),)

    table = TagTable.of(pairs())
    if len(bad) > config.max_rejected_share * read:
        first = f"{bad[0].where}: {bad[0].detail}"
        raise StackbertError(
            f"{path}: {len(bad):,} of {read:,} rows cannot be read, the first: {first}; repair the file"
        )
    return table


def _require_join(tags_path: Path, config: CorpusConfig) -> None:
    if not (config.id_column and config.tags_column):
        raise StackbertError("tags_path needs id_column and tags_column: the columns of ids and tags in its table")
    if not tags_path.exists():
        raise StackbertError(f"{tags_path}: no such file; tags_path should be a table of the tags of {config.path}")


def _joined_rows(rows: partial[Rows], tags_path: Path, config: CorpusConfig) -> Rows:
    """The rows of the first table, each with its tags from the second."""
    table = load_tag_table(tags_path, config)
    for where, values in rows():
        if isinstance(values, dict):
            values[str(config.tags_column)] = table.tags(id_of(values, config.id_column))
        yield where, values


def _parts(rows: partial[Rows], config: CorpusConfig) -> Iterator[list[Row]]:
    """Group the rows into parts; raises StackbertError if the first rows lack a named column."""
    unread = rows()
    first = list(islice(unread, ROWS_PER_BATCH))
    _require_columns([values for _, values in first if isinstance(values, dict)], config.path, config, COLUMN_FIELDS)
    part, characters = list[Row](), 0
    for row in chain(first, unread):
        part.append(row)
        if isinstance(row[1], dict):
            characters += sum(len(value) for value in row[1].values() if isinstance(value, str))
        if characters >= config.part_bytes or len(part) == ROWS_PER_PART:
            yield part
            part, characters = [], 0
    if part:
        yield part


def _require_columns(rows: Iterable[dict[str, Any]], path: str, config: CorpusConfig, fields: Sequence[str]) -> None:
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    for field in fields:
        column = getattr(config, field)
        if names and column is not None and column not in names:
            listed = ", ".join(names)
            hint = nearest_hint(column, names)
            raise StackbertError(f"{path}: no column '{column}' for {field}{hint}; the columns are: {listed}")
