"""Reads a cell as a text or an id; a value of another type is refused with its kind, never printed into the corpus."""

import math
import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

SHOWN_CHARACTERS = 60
EXACT_FLOAT = 2**53  # from here on, neighbouring whole numbers are the same float

_WHOLE = re.compile(r"(-?[0-9]+)\.0")
_WRAPPED = ("$oid", "$numberLong", "$numberInt", "$date")  # MongoDB writes {"$oid": "..."} for an id


class CellError(ValueError):
    """A value that its column cannot have; the text says what the value is."""


def text_of(value: Any) -> str:
    """The text in a cell: a text as it is, bytes as UTF-8, a whole number in digits; empty if the value is missing.

    >>> text_of("a title"), text_of(b"a title"), text_of(404), text_of(None)
    ('a title', 'a title', '404', '')
    """
    if isinstance(value, str):  # nearly all
        return value
    if is_missing(value):
        return ""
    if isinstance(value, bytes):
        return decoded(value)
    if is_integer(value):
        return str(value)
    if isinstance(value, list) and len(filled := [item for item in value if item != "" and not is_missing(item)]) <= 1:
        return text_of(filled[0]) if filled and not isinstance(filled[0], list) else ""
    raise CellError(kind_of(value))


def id_of(value: Any, whole: bool = False) -> str:
    """The id in a cell: a text, bytes as UTF-8, a whole number or a UUID; with `whole`, the text '7.0' is '7'.

    >>> id_of(7.0), id_of("7.0"), id_of("7.0", whole=True), id_of({"$oid": "65ab"})
    ('7', '7.0', '7', '65ab')
    """
    if isinstance(value, str):
        return without_zero(value) if whole else value
    value = unwrapped(value)
    if isinstance(value, float | Decimal) and not is_missing(value):
        return str(whole_number(value))
    return str(value) if isinstance(value, UUID) else text_of(value)


def whole_number(value: float | Decimal) -> int:
    """A whole number that is stored as a decimal one, as pandas does in a column with gaps; others raise CellError."""
    if not (value == value.__trunc__() if math.isfinite(value) else False):
        raise CellError("a decimal number")
    if isinstance(value, float) and abs(value) >= EXACT_FLOAT:
        raise CellError("a number stored as a decimal one, which has lost its last digits")
    return int(value)


def without_zero(text: str) -> str:
    """'7' for '7.0', as pandas writes whole numbers in a column with gaps; any other text as it is."""
    found = _WHOLE.fullmatch(text)
    return found[1] if found else text


def ends_in_zero(text: str) -> bool:
    """Whether without_zero changes the text."""
    return _WHOLE.fullmatch(text) is not None


def is_missing(value: Any) -> bool:
    """Whether a cell has no value: null, or not a number. The texts 'null' and 'NaN' are texts."""
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def is_integer(value: Any) -> bool:
    """Whether the value is a whole number by type; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def decoded(value: bytes) -> str:
    """Bytes as UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise CellError("bytes that are not UTF-8") from None


def unwrapped(value: Any) -> Any:
    """The value inside {"$oid": value} and the like."""
    while isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _WRAPPED:
        (value,) = value.values()
    return value


def kind_of(value: Any) -> str:
    """What the value is, in words."""
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    kinds: dict[Any, str] = {
        str: "a text",
        bytes: "bytes",
        bool: "true or false",
        int: "a whole number",
        float | Decimal: "a decimal number",
        date | time | timedelta: "a date or time",
        Mapping: "an object",
    }
    return next((kind for type_, kind in kinds.items() if isinstance(value, type_)), f"a {type(value).__name__}")


def shown(value: Any) -> str:
    """The value for a message, on one line and cut."""
    text = str(value) if isinstance(value, date | Decimal | UUID) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
