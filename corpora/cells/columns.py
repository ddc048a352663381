"""What the named columns of a table hold, decided from its first rows before anything is built."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from corpora.cells.dates import DateReader, decide_dates
from corpora.cells.notation_decision import decide_notation
from corpora.cells.tag_notations import EMPTY, LISTS, SHOWN
from corpora.cells.tags import NAME_KEYS, TagReader
from corpora.cells.value import CellError, ends_in_zero, id_of, is_integer, is_missing, kind_of, shown, text_of
from corpora.config import CorpusConfig
from stackbert.core.errors import StackbertError

COLUMN_FIELDS = ("id_column", "title_column", "body_column", "tags_column", "date_column")
MAX_UNREADABLE = 0.1
"""Share of a column's first values from which on it is refused; fewer are bad rows."""
EXPECTED = {
    "id_column": "ids: texts or whole numbers",
    "title_column": "texts",
    "body_column": "texts",
    "tags_column": "tags: texts, lists of texts, objects with a name, or numbers of classes; or set tags_format",
    "date_column": "dates: ISO 8601, seconds or milliseconds since 1970, or days, months and years",
}

MIN_ESCAPED, ESCAPED_SHARE = 5, 0.2  # bodies: code has \n, too, but few posts, and then other posts have line breaks
ESCAPED_LINES = (
    r"warning: the bodies have \n as two characters and no line breaks, as MySQL's and Postgres' text exports; "
    "export as CSV (Postgres: COPY ... WITH (FORMAT csv, HEADER)) or JSON to keep their lines"
)

_LOST_DIGITS = re.compile(r"[0-9]\.[0-9]+[eE]\+[0-9]+")  # a long id as Excel and pandas write it


@dataclass(frozen=True)
class Columns:
    """How the cells of a table are read; each decision holds for all rows."""

    whole_ids: bool = False
    """Whether the ids are texts such as '7.0': whole numbers that pandas wrote in a column with gaps."""
    tags: TagReader = field(default_factory=TagReader)
    dates: DateReader = field(default_factory=DateReader)
    notes: tuple[str, ...] = ()
    """What was decided, in words."""

    def id(self, value: Any) -> str:
        """The id in a cell."""
        found = id_of(value, self.whole_ids)
        if "+" in found and _LOST_DIGITS.fullmatch(found):
            raise CellError(f"{found}, a number that has lost its last digits")
        return found


def examine(
    table: str,
    rows: Sequence[Mapping[str, Any]],
    config: CorpusConfig,
    classes: tuple[str, ...] = (),
    fields: Sequence[str] = COLUMN_FIELDS,
    *,
    one_tag_a_row: bool = False,
) -> Columns:
    """Decide from its first rows how a table's columns are read; raises StackbertError for one that cannot be.

    `table` is for errors. `classes` are the names of numbered classes, where the file has them. `fields` are the
    settings whose columns it has. `one_tag_a_row` is for a second table of tags.
    """
    named = {name: str(getattr(config, name)) for name in fields if getattr(config, name)}
    cells = {name: [row.get(column) for row in rows] for name, column in named.items()}
    columns = Columns(whole_ids=_are_whole(cells.get("id_column", ())))
    for name, values in cells.items():
        where = f"{table}: column '{named[name]}' for {name}"
        try:
            columns = _decide(columns, name, values, config, classes, one_tag_a_row)
        except CellError as error:
            raise StackbertError(f"{where} holds {error}") from None
        readers = {"id_column": columns.id, "tags_column": columns.tags.read, "date_column": columns.dates.read}
        _refuse_unreadable(where, name, values, readers.get(name, text_of), config)
    return columns


def _decide(
    columns: Columns, name: str, values: list[Any], config: CorpusConfig, classes: tuple[str, ...], one_tag_a_row: bool
) -> Columns:
    """The columns with what a sample of one of them decides; raises CellError where it decides nothing."""
    if name == "tags_column":
        reader = _tag_reader(values, config, classes, one_tag_a_row)
        return replace(columns, tags=reader, notes=(*columns.notes, f"tags: read as {_description(reader, values)}"))
    if name == "date_column":
        dates = decide_dates(values, config.date_order)
        return replace(columns, dates=dates, notes=(*columns.notes, f"dates: read as {dates.description}"))
    filled = [value for value in values if not is_missing(value) and value != ""]
    if name in ("title_column", "body_column") and filled and all(map(is_integer, filled)):
        raise CellError(f"whole numbers only, such as {filled[0]}; name a column of texts")
    if name == "body_column" and _are_escaped(filled):
        return replace(columns, notes=(*columns.notes, ESCAPED_LINES))
    return columns


def _are_escaped(values: list[Any]) -> bool:
    r"""Whether texts have \n as two characters in place of line breaks."""
    texts = [value for value in values if isinstance(value, str)]
    escaped = sum(r"\n" in text for text in texts)
    return escaped >= max(MIN_ESCAPED, ESCAPED_SHARE * len(texts)) and not any("\n" in text for text in texts)


def _tag_reader(values: list[Any], config: CorpusConfig, classes: tuple[str, ...], one_tag_a_row: bool) -> TagReader:
    if config.tags_separator:
        return TagReader(separator=config.tags_separator, named=True, classes=classes)
    texts = [found for found in map(_as_text, values) if found]
    named = config.tags_format != "auto"
    notation, spaces = (config.tags_format, True) if named else decide_notation(texts, one_tag_a_row)
    if notation == "single" and not named and len(set(texts)) == 1 and ends_in_zero(texts[0]):
        raise CellError(
            f"no tag but {texts[0]!r}, a text or a number of a class; set tags_format to single for the text"
        )
    objects = [item for value in values for item in _items(value, notation) if isinstance(item, Mapping)]
    keys = [key for key in NAME_KEYS if all(isinstance(each.get(key), str) for each in objects)] if objects else []
    whole = notation == "single" and _are_whole(texts)
    return TagReader(
        notation, config.tags_format != "auto", spaces, key=next(iter(keys), None), classes=classes, whole=whole
    )


def _items(value: Any, notation: str | None) -> Iterable[Any]:
    """The items of a list, or of a text in the notation of a list; else the value."""
    text = _as_text(value)
    if text is not None:
        return LISTS[notation](text) or () if notation in LISTS else ()
    return value if isinstance(value, list) else (value,)


def _as_text(value: Any) -> str | None:
    """A text or bytes as text without spaces around it, empty for a list without tags; None for any other value."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return None
    return "" if text.strip() in EMPTY else text.strip()


def _description(reader: TagReader, values: list[Any]) -> str:
    """How the tags are read, in words."""
    kinds = dict.fromkeys(kind_of(value) for value in values if not is_missing(value) and not isinstance(value, bytes))
    found = [f"texts separated by {reader.separator!r}"] if reader.separator else []
    if reader.notation:
        found.append(SHOWN[reader.notation])
    if "a list" in kinds:
        found.append("lists")
    if reader.key:
        found.append(f"objects, by their '{reader.key}'")
    if reader.classes:
        found.append(f"the names of {len(reader.classes)} classes, which the file holds")
    elif kinds.keys() & {"a whole number", "a decimal number", "true or false"} or reader.whole:
        found.append("numbers of classes")
    return ", ".join(found) or "none: the first rows have no tags"


def _are_whole(values: Iterable[Any]) -> bool:
    """Whether all texts are such as '7.0', several or with a gap between them: '2.0' alone may be a version."""
    texts = {value for value in values if isinstance(value, str)}
    return len(texts) > 1 and all(map(ends_in_zero, texts - {""}))


def _refuse_unreadable(
    where: str, name: str, values: list[Any], read: Callable[[Any], Any], config: CorpusConfig
) -> None:
    """Raise StackbertError if more values cannot be read than can be exceptions."""
    first, unreadable, filled = "", 0, 0
    for value in values:
        if is_missing(value) or value == "":
            continue
        filled += 1
        try:
            read(value)
        except CellError as error:
            unreadable += 1
            text = str(error)
            first = first or (text if shown(value) in text or "," in text else f"{text}, such as {shown(value)}")
    if unreadable > max(MAX_UNREADABLE, config.max_rejected_share) * filled:
        count = f"{unreadable:,} of the first {filled:,} values cannot be read"
        raise StackbertError(f"{where} holds {first} ({count}); name a column of {EXPECTED[name]}")
