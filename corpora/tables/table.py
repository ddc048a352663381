"""A table with user-named columns as a source of posts."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from corpora.cells.columns import COLUMN_FIELDS, Columns, examine
from corpora.cells.value import CellError
from corpora.config import CorpusConfig
from corpora.sources.source import Dropped, Source, Stream, bad_row
from corpora.tables.arrow_rows import HUB, hub_address, hub_rows
from corpora.tables.class_names import class_names
from corpora.tables.files import table_rows
from corpora.tables.posts import parse_rows, post_id
from corpora.tables.repeated_posts import refuse_repeated_posts
from corpora.tables.row import Row, Rows
from corpora.tables.tag_table import TagTable
from stackbert.core.errors import StackbertError, nearest_hint

ROWS_PER_PART = 100_000  # at most; fewer where they reach the configured size of a part
SAMPLE_ROWS = 1_000
MAX_SAMPLE_ROWS = 50_000  # where the first rows have hardly any tags or dates, more are read
FILLED_CELLS = 100  # tags or dates that show how they are written
SHOWN_COLUMNS = 12
TAG_TABLE_FIELDS = ("id_column", "tags_column")


@dataclass(frozen=True)
class _Table:
    """Where rows come from, and which settings name their columns."""

    name: str
    """For errors."""
    rows: Callable[[], Rows]
    fields: Sequence[str] = COLUMN_FIELDS


def table_source(path: Path, config: CorpusConfig, tags_path: Path | None = None, *, read_first: bool = True) -> Source:
    """The posts of a table; `path` is unused for 'hub:' data sets, `tags_path` is the resolved config.tags_path.

    Its first rows decide how its columns are read; raises StackbertError if one is missing or cannot be read. Without
    `read_first`, only the inputs of the source are of use.
    """
    inputs: dict[str, Path | str] = {"source": path}
    own = [field for field in COLUMN_FIELDS if not (config.tags_path and field == "tags_column")]
    named = [getattr(config, field) for field in own if getattr(config, field)]
    rows = partial(table_rows, path, config.dialect, named)
    if config.path.startswith(HUB):
        name, revision, split = hub_address(config.path)
        inputs = {"source": f"{name}@{revision}"}
        rows = partial(hub_rows, name, revision, split)
    tables = [_Table(config.path, rows, own)]
    if config.tags_path:
        inputs["tags"] = tags_path = tags_path or Path(config.tags_path)
        _require_join(tags_path, config)
        tables.append(_Table(str(tags_path), partial(table_rows, tags_path, config.dialect), TAG_TABLE_FIELDS))
    found = [_examine(table, path, config) for table in tables] if read_first else [Columns(), Columns()]
    columns, notes = found[0], [note for each in found for note in each.notes]
    if config.tags_path:
        rows = partial(_joined_rows, rows, tables[1], config, columns, found[1])
        columns = replace(columns, tags=Columns().tags)
    parse = partial(parse_rows, config=config, columns=columns)
    return Source(inputs, parse, Stream(partial(_parts, rows, config)), tuple(notes))


def _examine(table: _Table, path: Path, config: CorpusConfig) -> Columns:
    """How a table's columns are read, from its first rows; raises StackbertError if it has no such column."""
    named = {field: str(getattr(config, field)) for field in table.fields if getattr(config, field)}
    sparse = [named[field] for field in ("tags_column", "date_column") if field in named]
    within = dict[str, list[str]]()
    sample, filled, names = list[dict[str, Any]](), Counter[str](), dict[str, None]()
    for number, (_, values) in enumerate(islice(table.rows(), MAX_SAMPLE_ROWS), 1):
        if isinstance(values, dict):
            names.update(dict.fromkeys(values))
            within = within or {key: list(value) for key, value in values.items() if isinstance(value, dict)}
            sample.append({name: values.get(name) for name in named.values()})
            filled.update(name for name in sparse if values.get(name))
        if number >= SAMPLE_ROWS and all(filled[name] >= FILLED_CELLS for name in sparse):
            break
    if sample:
        _require_columns(list(names), table.name, named, within)
    is_tag_table = table.fields is TAG_TABLE_FIELDS
    if "tags_column" in named and not is_tag_table:
        refuse_repeated_posts(table.name, sample, config)
    classes = class_names(path, named["tags_column"]) if "tags_column" in named and not is_tag_table else ()
    columns = examine(table.name, sample, config, classes, table.fields, one_tag_a_row=is_tag_table)
    unused = [name for name in names if name not in named.values()]
    notes = [] if is_tag_table or not unused else [f"columns not used: {_listed(unused)}"]
    for column in named.values():
        same = [name for name in unused if _folded(name) == _folded(column)]
        notes += [f"'{name}' is another column than '{column}', which is the one that is read" for name in same]
    return replace(columns, notes=(*columns.notes, *notes))


def load_tag_table(path: Path, config: CorpusConfig) -> TagTable:
    """The tags of a table with one row per post and tag; its columns are id_column and tags_column.

    Raises StackbertError for missing columns, and if the share of bad rows exceeds config.max_rejected_share.
    """
    table = _Table(str(path), partial(table_rows, path, config.dialect), TAG_TABLE_FIELDS)
    return _load_tags(table, config, _examine(table, path, config))[0]


def _load_tags(tags: _Table, config: CorpusConfig, columns: Columns) -> tuple[TagTable, str]:
    """The tags, and the first id."""
    read, bad, first_id = 0, list[Dropped](), ""

    def pairs() -> Iterator[tuple[str, tuple[str, ...]]]:
        nonlocal read, first_id
        for where, values in tags.rows():
            read += 1
            if isinstance(values, Dropped):
                bad.append(values)
                continue
            try:
                found_id = post_id(values, config, columns)
                first_id = first_id or found_id
                yield found_id, columns.tags.read(values.get(str(config.tags_column)))
            except CellError as error:
                bad.append(bad_row(where, f"holds {error}", ""))

    table = TagTable.of(pairs())
    if len(bad) > config.max_rejected_share * read:
        first = f"{bad[0].where}: {bad[0].detail}"
        raise StackbertError(
            f"{tags.name}: {len(bad):,} of {read:,} rows cannot be read, the first: {first}; repair the file"
        )
    return table, first_id


def _require_join(tags_path: Path, config: CorpusConfig) -> None:
    if not (config.id_column and config.tags_column):
        raise StackbertError("tags_path needs id_column and tags_column: the columns of ids and tags in its table")
    if not tags_path.exists():
        raise StackbertError(f"{tags_path}: no such file; tags_path should be a table of the tags of {config.path}")


def _joined_rows(
    rows: Callable[[], Rows], tags: _Table, config: CorpusConfig, columns: Columns, tag_columns: Columns
) -> Rows:
    """The rows of the first table, each with its tags from the second; raises StackbertError if no id has any."""
    table, tagged_id = _load_tags(tags, config, tag_columns)
    is_joined, own_id = False, ""
    for where, values in rows():
        if isinstance(values, dict):
            found = list[str]()  # of a bad row, which says so when it is parsed
            with suppress(CellError):
                found_id = post_id(values, config, columns)
                own_id, found = own_id or found_id, table.tags(found_id)
            values[str(config.tags_column)], is_joined = found, is_joined or bool(found)
        yield where, values
    if own_id and table.names and not is_joined:
        raise StackbertError(
            f"{tags.name}: none of its ids is one of {config.path}: {tagged_id!r} here, {own_id!r} there; "
            "name the right table for tags_path, or write the ids of both alike"
        )


def _parts(rows: Callable[[], Rows], config: CorpusConfig) -> Iterator[list[Row]]:
    """Group the rows into parts."""
    part, characters = list[Row](), 0
    for row in rows():
        part.append(row)
        if isinstance(row[1], dict):
            characters += sum(len(value) for value in row[1].values() if isinstance(value, str))
        if characters >= config.part_bytes or len(part) == ROWS_PER_PART:
            yield part
            part, characters = [], 0
    if part:
        yield part


def _require_columns(names: Sequence[str], path: str, named: dict[str, str], within: dict[str, list[str]]) -> None:
    """Raise StackbertError if a named column is missing, with the most similar name, or the object that holds it.

    `within` has the names in each object of a row.
    """
    for field, column in named.items():
        if column not in names:
            same = [name for name in names if _folded(name) == _folded(column)]
            hint = f"; nearest is '{same[0]}'" if same else nearest_hint(column, names)
            advice = "; where this is several columns, name their delimiter" if len(names) == 1 else ""
            if outer := next((key for key, inner in within.items() if column in inner), None):
                advice = f"; '{outer}' holds an object with it: write its values as columns (jq, pandas.json_normalize)"
            raise StackbertError(
                f"{path}: no column '{column}' for {field}{hint}; the columns are: {_listed(names)}{advice}"
            )


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many there are more."""
    more = f" and {len(names) - SHOWN_COLUMNS:,} more" if len(names) > SHOWN_COLUMNS else ""
    return ", ".join(name.strip()[:40] or "(no name)" for name in names[:SHOWN_COLUMNS]) + more


def _folded(name: str) -> str:
    return "".join(name.split()).casefold()
