"""Reads the rows of JSON files: an object a line, a list of objects, or objects one after another."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from corpora.files.delimited import say_once
from corpora.files.dialect import DialectSettings
from corpora.files.encoding import UTF_8, encoding_of, encoding_title, open_text
from corpora.files.json_values import BLOCK_CHARACTERS, JsonStream, LongValueError, Numbered, in_lines
from corpora.files.rows import bounded_lines
from corpora.sources.source import bad_row
from corpora.tables.row import Rows
from stackbert.core.errors import StackbertError

LEAST_ROWS = 2  # of a list in an object; the only object of a list may be a value of one row


def json_rows(path: Path, settings: DialectSettings, table: Path) -> Rows:
    """Rows of a file with one JSON object a line, where any other line is a bad row; or of a list, of an object that
    holds one list of objects, or of objects one after another.

    `table` is the file or its folder, for the note of how it is read. Raises StackbertError where such a list is not
    JSON, and for an object that holds several.
    """
    encoding = encoding_of(path, settings.encoding)
    title, read = _form(path, encoding)
    if read is not _lines or encoding != UTF_8:
        say_once(f"{table}: read as {title}, {encoding_title(encoding)}")
    with open_text(path, encoding) as file:
        for number, values in read(JsonStream(file, path)):
            where = f"line {number}"
            if isinstance(values, dict):
                yield where, values
            elif isinstance(values, _BadLine):
                yield where, bad_row(where, values.detail, values.text)
            else:
                yield where, bad_row(where, "not a JSON object", json.dumps(values))


@dataclass(frozen=True)
class _BadLine:
    detail: str
    text: str


def _lines(stream: JsonStream) -> Iterator[Numbered]:
    """The values of JSON lines."""
    for number, line in enumerate(bounded_lines(stream.file, stream.path), 1):
        try:
            if line.strip():
                yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, _BadLine(f"not JSON: {error}", line)


Form = tuple[str, Callable[[JsonStream], Iterator[Numbered]]]
"""What a file is, in words, and the function that reads its rows."""


def _form(path: Path, encoding: str) -> Form:
    with open_text(path, encoding) as file:
        head = file.read(BLOCK_CHARACTERS).lstrip()
    if not head:
        raise StackbertError(f"{path}: is empty; a table has rows")
    if head.startswith("["):
        return "a JSON list", JsonStream.values
    line, _, rest = head.partition("\n")
    if rest.strip() and _is_object(line):
        return "JSON lines", _lines
    with open_text(path, encoding) as file:
        try:
            first, *others = (value for _, value in islice(JsonStream(file, path).values(), 2))
        except LongValueError:
            return "the list in a JSON object", partial(JsonStream.list_in_object, name=None)
        except StackbertError:
            return "JSON lines", _lines
    if others or not isinstance(first, dict):
        return "JSON objects one after another", JsonStream.values
    return _single(first, path)


def _single(values: dict[str, Any], path: Path) -> Form:
    """The form of a file that is one object."""
    lists = [key for key, value in values.items() if _is_table(value)]
    if len(lists) > 1:
        raise StackbertError(f"{path}: holds one object with several lists: {', '.join(lists)}; {in_lines(lists[0])}")
    if lists:
        return f"the list {lists[0]!r} in a JSON object", partial(JsonStream.list_in_object, name=lists[0])
    if len(values) > 1 and list(values) == [str(number) for number in range(len(values))]:
        raise StackbertError(
            f"{path}: holds rows by their numbers, in one object; write the rows: jq -c '.[]' FILE.json > FILE.jsonl"
        )
    if _is_by_columns(list(values.values())) or {"columns", "data"} <= set(values) <= {"columns", "index", "data"}:
        raise StackbertError(
            f"{path}: holds a table by columns, as pandas writes it by default; "
            "write it with to_json(path, orient='records', lines=True)"
        )
    return "a JSON object", JsonStream.values


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= LEAST_ROWS and all(isinstance(each, dict) for each in value)


def _is_by_columns(columns: list[Any]) -> bool:
    """Whether the values of an object are columns: objects with the same keys, without lists or objects in them unless
    the keys are the numbers of rows."""
    if not columns or not all(isinstance(column, dict) and column.keys() == columns[0].keys() for column in columns):
        return False
    if len(columns[0]) > 1 and list(columns[0]) == [str(number) for number in range(len(columns[0]))]:
        return True
    return not any(isinstance(value, list | dict) for column in columns for value in column.values())


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
