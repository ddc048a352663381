"""Reads tables with user-named columns: CSV, JSON lines, Parquet and Hugging Face data sets."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.cleaning.cleaning import clean_title
from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.csv_encoding import csv_encoding
from corpora.sources.lines import MAX_LINE_BYTES, read_lines, refuse_other_encodings
from corpora.sources.source import Dropped, Outcome, Source, Stream, bad_row, post_url
from corpora.sources.tag_table import TagTable
from corpora.sources.tags import parse_tags
from stackbert.core.errors import StackbertError, nearest_hint

ROWS_PER_BATCH = 500
ROWS_PER_PART = 100_000  # at most; fewer where they reach the configured size of a part
BROKEN_BYTE = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, decoded with errors="surrogateescape"
HUB = "hub:"
COLUMN_FIELDS = ("id_column", "title_column", "body_column", "tags_column")

_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0")  # pandas writes integer ids as floats if a column has gaps

Row = tuple[str, dict[str, Any] | Dropped]
"""Line or row number, and values by column."""


class ArrowBatches(Protocol):
    """The method of a Hugging Face data set in Arrow format that is used here."""

    def iter(self, batch_size: int) -> Iterator[pa.Table]: ...


def table_source(path: Path, config: CorpusConfig, tags_path: Path | None = None) -> Source:
    """The posts of a table; `path` is unused for 'hub:' data sets, `tags_path` is the resolved config.tags_path."""
    inputs: dict[str, Path | str] = {"source": path}
    rows = partial(table_rows, path)
    if config.path.startswith(HUB):
        name, revision, split = hub_address(config.path)
        inputs = {"source": f"{name}@{revision}"}
        rows = partial(_hub_rows, name, revision, split)
    if config.tags_path:
        tags_path = tags_path or Path(config.tags_path)
        _require_join(tags_path, config)
        inputs["tags"] = tags_path
        rows = partial(_joined_rows, rows, tags_path, config)
    return Source(inputs, partial(parse_rows, config=config), Stream(partial(_parts, rows, config)))


def table_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, of a folder of Parquet files, or of a data set saved by Hugging Face datasets."""
    if path.is_dir():
        return _folder_rows(path)
    readers = {".csv": _csv_rows, ".tsv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows, ".json": _json_rows}
    reader = (readers | {".parquet": _parquet_rows}).get(path.suffix.lower())
    if reader is None:
        raise StackbertError(f"{path}: tables end in .csv, .tsv, .jsonl, .json or .parquet, not in '{path.suffix}'")
    return reader(path)


def parse_rows(rows: Iterable[Row], config: CorpusConfig) -> Iterator[Outcome]:
    """One outcome for each row."""
    for where, values in rows:
        yield values if isinstance(values, Dropped) else _post_or_reason(where, values, config)


def hub_address(path: str) -> tuple[str, str, str | None]:
    """Name, revision and split of 'hub:owner/name[@revision][:split]'; without a revision, the hub's latest.

    >>> hub_address("hub:owner/name@3f2a:train")
    ('owner/name', '3f2a', 'train')
    """
    found = re.fullmatch(HUB + r"([^@:]+)(?:@([^@:]+))?(?::([^@:]+))?", path)
    if found is None:
        raise StackbertError(f"{path}: a data set is written hub:owner/name[@revision][:split]")
    return found[1], found[2] or _latest_revision(found[1]), found[3]


def load_tag_table(path: Path, config: CorpusConfig) -> TagTable:
    """The tags of a table with one row per post and tag; its columns are id_column and tags_column.

    Raises StackbertError for missing columns, and if the share of bad rows exceeds config.max_rejected_share.
    """
    read, bad = 0, list[Dropped]()

    def pairs() -> Iterator[tuple[str, tuple[str, ...]]]:
        nonlocal read
        for _, values in table_rows(path):
            read += 1
            if isinstance(values, Dropped):
                bad.append(values)
                continue
            if read - len(bad) == 1:  # the first row that can be read
                _require_columns([values], str(path), config, ("id_column", "tags_column"))
            yield _id(values, config.id_column), (_text(values, config.tags_column).strip(),)

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


def _joined_rows(rows: partial[Iterator[Row]], tags_path: Path, config: CorpusConfig) -> Iterator[Row]:
    """The rows of the first table, each with its tags from the second."""
    table = load_tag_table(tags_path, config)
    for where, values in rows():
        if isinstance(values, dict):
            values[str(config.tags_column)] = table.tags(_id(values, config.id_column))
        yield where, values


def _post_or_reason(where: str, values: Mapping[str, Any], config: CorpusConfig) -> Outcome:
    title, body = _text(values, config.title_column), _text(values, config.body_column)
    tags = parse_tags(values.get(config.tags_column)) if config.tags_column else ()
    given_id = _id(values, config.id_column)
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


def _text(values: Mapping[str, Any], column: str | None) -> str:
    value = values.get(column) if column else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, str) else str(value)


def _id(values: Mapping[str, Any], column: str | None) -> str:
    text = clean_title(_text(values, column))
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole else text


def _parts(rows: partial[Iterator[Row]], config: CorpusConfig) -> Iterator[list[Row]]:
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


def _csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a CSV with a header; a row with more or fewer fields than the header is a bad row."""
    csv.field_size_limit(MAX_LINE_BYTES)
    with path.open(encoding=csv_encoding(path), errors="surrogateescape", newline="") as file:
        refuse_other_encodings(path, file.buffer.peek(8))  # type: ignore[attr-defined]
        reader = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        names = next(reader, [])
        while True:
            where = f"line {reader.line_num + 1}"
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield where, bad_row(where, str(error), "")
                continue
            if len(fields) == len(names):
                yield where, dict(zip(names, fields, strict=True))
            elif fields:
                detail = f"{len(fields)} fields, the header has {len(names)}"
                yield where, bad_row(where, detail, ",".join(fields))


def _json_rows(path: Path) -> Iterator[Row]:
    for _, number, line in read_lines(path):
        where = f"line {number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield where, bad_row(where, f"not JSON: {error}", line)
            continue
        yield where, values if isinstance(values, dict) else bad_row(where, "not a JSON object", line)


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path) as file:
            yield from _arrow_rows(file.iter_batches(batch_size=ROWS_PER_BATCH), path.name)
    except pa.ArrowException as error:
        raise StackbertError(f"{path}: cannot be read as Parquet: {error}") from None


def _arrow_rows(batches: Iterable[pa.RecordBatch | pa.Table], name: str) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for values in batch.to_pylist():
            number += 1
            yield f"{name} row {number}", values


def _folder_rows(path: Path) -> Iterator[Row]:
    files = sorted(path.glob("*.parquet"))
    if files:
        return chain.from_iterable(map(_parquet_rows, files))
    if not list(path.glob("*.json")):
        raise StackbertError(
            f"{path}: is a folder without *.parquet or a data set saved by Hugging Face datasets; "
            "name the file in it that holds the table"
        )
    try:
        return _dataset_rows(_datasets().load_from_disk(str(path)))
    except (OSError, ValueError) as error:
        raise StackbertError(f"{path}: cannot be read as a Hugging Face data set: {error}") from None


def _hub_rows(name: str, revision: str, split: str | None) -> Iterator[Row]:
    """Rows of a data set on the Hugging Face Hub, streamed; all splits if none is named. Never runs its code."""
    try:
        return _dataset_rows(_datasets().load_dataset(name, split=split, revision=revision, streaming=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise StackbertError(f"{HUB}{name}: cannot be loaded: {error}") from None


def _dataset_rows(dataset: Any) -> Iterator[Row]:
    """Rows of a data set, or of each of its splits in order."""
    splits = dataset if isinstance(dataset, Mapping) else {"data set": dataset}
    for name, split in splits.items():
        batches = cast(ArrowBatches, split.with_format("arrow"))
        yield from _arrow_rows(batches.iter(batch_size=ROWS_PER_BATCH), name)


def _latest_revision(name: str) -> str:
    try:
        from huggingface_hub import HfApi

        return str(HfApi().dataset_info(name).sha)
    except ImportError:
        raise StackbertError("hub: data sets need the package 'datasets': pip install datasets") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise StackbertError(f"{HUB}{name}: cannot be found: {error}; offline, write {HUB}{name}@revision") from None


def _datasets() -> Any:
    """The package datasets, imported only when needed: it takes 2 s."""
    try:
        import datasets
    except ImportError:
        raise StackbertError("Hugging Face data sets need the package 'datasets': pip install datasets") from None
    return datasets
