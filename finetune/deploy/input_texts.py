"""Reads the texts to label: from the columns of a table, from the lines of a file, or from standard input."""

import json
import re
import sys
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, cast

from corpora.build.steps import clean_posts
from corpora.config import CorpusConfig
from corpora.post import whole_text
from corpora.sources.lines import BYTE_ORDER_MARK, MAX_LINE_BYTES, refuse_other_encodings
from corpora.sources.source import Dropped
from corpora.tables.files import table_rows
from corpora.tables.row import Rows
from corpora.tables.table import table_source
from finetune.deploy.config import PredictConfig
from stackbert.core.errors import StackbertError, nearest_hint

STANDARD_INPUT = "standard input"
TEXT = "text"
"""Field of JSON lines that holds the text, unless another column is named."""
_JSON_TABLES = (".jsonl", ".ndjson", ".json")
_WORKBOOKS = (".xlsx", ".ods")  # refused by the reader of tables, which says how to save them
_TABLES = (".csv", ".tsv", ".parquet", *_WORKBOOKS, *_JSON_TABLES)
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_SURROGATE = re.compile("[\ud800-\udfff]")


class InputText(NamedTuple):
    """A text to label."""

    where: str
    """Such as 'line 3'."""
    text: str
    id: Any = None
    """As it is in the table; None without an id column."""


def input_texts(config: PredictConfig) -> Iterator[InputText]:
    """The texts of `config.file`, in its order, empty ones included; raises StackbertError where it cannot be read."""
    if config.file == "-":
        return _standard_input_texts(config)
    path = Path(config.file)
    if not path.exists():
        raise StackbertError(f"{path}: cannot be read: No such file or directory")
    ending = table_ending(path)
    if path.is_dir() or ending or config.columns:  # the reader of tables says what a file with columns should be
        return _in_words(path, _table_texts(path, ending, config))
    return _in_words(path, _line_texts(path))


def table_ending(path: Path) -> str:
    """The ending that makes a file a table, compressed or not; empty for a file of lines.

    >>> table_ending(Path("posts.CSV")), table_ending(Path("posts.jsonl.gz")), table_ending(Path("posts.txt"))
    ('.csv', '.jsonl', '')
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in _TABLES else ""


def decoded(line: bytes, name: str, start: int = 0) -> str:
    """A line or text as UTF-8; raises StackbertError if it is something else. `start` is its offset in the file."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise StackbertError(
            f"{name}: not UTF-8 text: byte {start + error.start + 1:,} is 0x{line[error.start]:02x}; "
            "convert it to UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)"
        ) from None
    if "\0" in text:
        position = start + line.index(b"\0") + 1
        raise StackbertError(f"{name}: byte {position:,} is NUL, so this is not UTF-8 text but UTF-16 or a binary file")
    return text


def _in_words(path: Path, texts: Iterator[InputText]) -> Iterator[InputText]:
    try:
        yield from texts
    except OSError as error:
        raise StackbertError(f"{path}: cannot be read: {error.strerror or error}") from None


def _table_texts(path: Path, ending: str, config: PredictConfig) -> Iterator[InputText]:
    if config.title_column or config.body_column:
        return _post_texts(path, config)
    return _column_texts(table_rows(path, config.dialect, config.columns), str(path), ending in _JSON_TABLES, config)


def _column_texts(rows: Rows, name: str, is_json: bool, config: PredictConfig) -> Iterator[InputText]:
    column = config.text_column or (TEXT if is_json else None)
    for where, values in rows:
        at = _at(name, where)
        if isinstance(values, Dropped):
            raise StackbertError(f"{at}: {values.detail}; mend the row")
        if column is None:
            raise StackbertError(f"{name}: name the column of texts, or those of titles and bodies ({_listed(values)})")
        text = _value(values, column, at)
        if text is not None and not isinstance(text, str):
            raise StackbertError(f"{at}: '{column}' is not a text but {text!r:.40}")
        if found := _SURROGATE.search(text or ""):
            raise StackbertError(f"{at}: '{column}' is not UTF-8 text at character {found.start() + 1}")
        yield InputText(where, text or "", _id(values, at, config))


def _post_texts(path: Path, config: PredictConfig) -> Iterator[InputText]:
    """Texts made of title and body as those that a classifier is trained on."""
    posts = CorpusConfig(
        source="table",
        path=str(path),
        title_column=config.title_column,
        body_column=config.body_column,
        format=config.format,
        code=config.code,
        delimiter=config.delimiter,
        quote=config.quote,
        escape=config.escape,
        encoding=config.encoding,
        part_megabytes=1.0,  # read at a time
    )
    source = table_source(path, posts)
    for part in cast(Any, source.rows).read():
        for (where, values), post in zip(part, source.parse(part), strict=True):
            at = _at(str(path), where)
            if isinstance(post, Dropped):
                raise StackbertError(f"{at}: {post.detail}; mend the row")
            clean_posts([post], posts)
            yield InputText(where, whole_text(post.kind, post.title, post.text), _id(values, at, config))


def _at(name: str, where: str) -> str:
    """File and place of a row; in some tables, the place names the file."""
    return where if where.startswith(Path(name).name) else f"{name}: {where}"


def _id(values: dict[str, Any], at: str, config: PredictConfig) -> Any:
    found = _value(values, config.id_column, at) if config.id_column else None
    return None if found != found else found  # NaN, which JSON does not have


def _value(values: dict[str, Any], column: str, at: str) -> Any:
    if column not in values:
        raise StackbertError(f"{at}: has no '{column}'{nearest_hint(column, values)} ({_listed(values)})")
    found = values[column]
    return decoded(found, f"{at}: '{column}'") if isinstance(found, bytes) else found


def _listed(values: dict[str, Any]) -> str:
    return f"its columns are {', '.join(values)}; the options are --text-column, --title-column and --body-column"


def _line_texts(path: Path) -> Iterator[InputText]:
    with path.open("rb") as file:
        for where, _, text in _lines(file, str(path)):
            yield InputText(where, text)


def _standard_input_texts(config: PredictConfig) -> Iterator[InputText]:
    if config.title_column or config.body_column:
        raise StackbertError(f"{STANDARD_INPUT}: title and body are read from a table in a file; write it to one")
    lines = _lines(cast(BufferedReader, sys.stdin.buffer), STANDARD_INPUT)
    is_json: bool | None = None  # decided by the first line that is not empty
    for where, number, text in lines:
        if is_json is None and text.strip():
            is_json = isinstance(_json_or_none(text), dict)
            if config.columns and not is_json:
                raise StackbertError(f"{STANDARD_INPUT}: {where}: columns are named, but this is not a JSON object")
        if is_json and text.strip():
            yield from _column_texts(_json_row(where, number, text), STANDARD_INPUT, True, config)
        else:
            yield InputText(where, text)


def _json_row(where: str, number: int, text: str) -> Rows:
    values = _json_or_none(text)
    if not isinstance(values, dict):
        raise StackbertError(f"{STANDARD_INPUT}: {where}: not a JSON object, but the first line is one")
    yield where, values


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lines(file: BufferedReader, name: str) -> Iterator[tuple[str, int, str]]:
    """Place, number and text of each line; lines end in a line feed, which a carriage return may precede."""
    start = number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"line {number}"
        if len(line) > MAX_LINE_BYTES:
            raise StackbertError(f"{name}: {where}: longer than {MAX_LINE_BYTES:,} bytes; put one text on a line")
        if number == 1:
            refuse_other_encodings(Path(name), line[:8])
        content = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        text = decoded(content, f"{name}: {where}", start + len(line) - len(content))
        if number == 1 and "\r" in text.rstrip("\r\n") and not text.endswith("\n"):
            raise StackbertError(f"{name}: lines end in carriage returns; convert them (tr '\\r' '\\n')")
        yield where, number, text.removesuffix("\n").removesuffix("\r")
        start += len(line)
