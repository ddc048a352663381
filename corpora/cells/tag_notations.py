"""The notations of several tags in one text, each parsed strictly: a text that is not in the notation is no match."""

import json
import re
from ast import literal_eval
from collections.abc import Callable, Iterable
from html import unescape
from typing import Any

SEPARATORS = {"newline": "\n", "pipe": "|", "semicolon": ";", "comma": ",", "space": " "}
"""Notations that only separate the tags."""

EMPTY = frozenset(("[]", "{}", "()", "set()", "<>", "||"))
"""Lists without a tag inside, in any notation."""
NO_LIST = frozenset(("None", "nan", "NaN", "null", "NULL", "<NA>"))
"""What pandas, Python and databases print in place of a list."""

_ANGLE = re.compile(r"(?:\s*+<[^<>]*+>\s*+,?+)++")
_ANGLE_TAG = re.compile(r"<([^<>]*+)>")
_NUMBERS = re.compile(r"[-+0-9.eE\s,]*+")
_LIST_BEGINS = ("[", "{", "<", "&lt;", "(", "array(", "frozenset(", "set(", "'", '"')
_LIST_LIKE = re.compile(r"[\[{<]|&lt;|\(\s*['\"]|(?:array|frozenset|set)\(|(['\"]).*\1\Z", re.DOTALL)

_PYTHON = re.compile(
    r"(?:array\(|(?:frozen)?set\()?\s*(?:\[(?P<list>.*)\]|\((?P<tuple>.*)\)|\{(?P<set>.*)\})\s*"
    r"(?:,\s*dtype=[^()]*)?\)?",
    re.DOTALL,
)
_PYTHON_ITEM = re.compile(
    r"\s*(?:(?P<wrapped>np\.str_\()?(?P<text>'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\")(?(wrapped)\))"
    r"|(?P<number>-?(?:0|[1-9][0-9]*))(?![0-9.eE])|(?P<missing>None|nan|null|<NA>))(?P<end>\s*,\s*|\s+|\s*\Z)",
    re.DOTALL,
)
_POSTGRES_ITEM = re.compile(r'(?:"((?:[^"\\]|\\.)*+)"|([^",{}\\]+))(,|\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

Items = list[Any]
"""What stands in a list: texts, whole numbers, or objects; without missing values."""


def angle(text: str) -> Items | None:
    """Tags in `<a><b>`, also where the signs are written as in XML."""
    text = unescape(text) if text.startswith("&lt;") else text
    return _ANGLE_TAG.findall(text) if _ANGLE.fullmatch(text) else None


def json_list(text: str) -> Items | None:
    """Items of a JSON list, or one JSON object or string."""
    if not text.startswith(("[", "{", '"')):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, float) for item in items):
        return None  # '[2.0]' may hold the text 2.0
    return [item for item in items if item is not None]


def python_list(text: str) -> Items | None:
    """Items of a printed Python list, tuple or set of texts, or of a printed numpy array, which has no commas."""
    found = _PYTHON.fullmatch(text)
    if found is None:
        return None
    content = next(group for group in found.groups() if group is not None).strip()
    items, position = Items(), 0
    while position < len(content):
        item = _PYTHON_ITEM.match(content, position)
        if item is None:
            return _objects(text) if content[position] == "{" else None
        if item["text"] is not None:
            try:
                items.append(literal_eval(item["text"]))
            except (ValueError, SyntaxError):
                return None
        elif item["number"] is not None:
            items.append(int(item["number"]))
        elif found["set"] is not None:
            return None  # {nan} is a text in a Postgres array
        position = item.end()
    return items


def _objects(text: str) -> Items | None:
    """The objects in a printed Python list of dictionaries."""
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else None


def postgres_array(text: str) -> Items | None:
    r"""Items of a Postgres array: `{a,"b c"}`, with \" and \\ inside quotes; an unquoted NULL is a missing value."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    content, items, position, end = text[1:-1], Items(), 0, ""
    while position < len(content):
        found = _POSTGRES_ITEM.match(content, position)
        if found is None:
            return None
        quoted, bare, end = found.groups()
        if quoted is not None:
            items.append(_ESCAPED.sub(r"\1", quoted))
        elif bare.strip().upper() != "NULL":
            items.append(bare)
        position = found.end()
    return None if end == "," else items


def brackets(text: str) -> Items | None:
    """Tags in `[a, b]`, without quotation marks around them."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    if any(sign in text[1:-1] for sign in "[]{}") or any(is_list_like(item.strip()) for item in text[1:-1].split(",")):
        return None
    return text[1:-1].split(",")


def is_numbers(text: str) -> bool:
    """Whether a list holds numbers alone, with or without commas, as numpy prints them."""
    return _NUMBERS.fullmatch(text[1:-1]) is not None


def bounded_pipes(text: str) -> Items | None:
    """Tags in `|a|b|`."""
    return text[1:-1].split("|") if len(text) > 1 and text[0] == text[-1] == "|" else None


def separated(separator: str) -> Callable[[str], Items]:
    """A parser of texts with this separator, which takes any text."""
    return lambda text: text.split(separator) if separator != " " else text.split()


LISTS: dict[str, Callable[[str], Items | None]] = {
    "angle": angle,
    "json": json_list,
    "python": python_list,
    "postgres": postgres_array,
    "brackets": brackets,
}
"""Notations with signs around the tags, the most specific first."""

SHOWN = {
    "angle": "<a><b>",
    "json": 'a JSON list, ["a", "b"]',
    "python": "a printed Python list or numpy array, ['a', 'b']",
    "postgres": "a Postgres array, {a,b}",
    "brackets": "a list without quotation marks, [a, b]",
    "newline": "one tag a line",
    "pipe": "a|b",
    "semicolon": "a;b",
    "comma": "a, b",
    "space": "a b",
    "single": "one tag a row",
}
"""How a notation is named in messages."""


def is_list_like(text: str) -> bool:
    """Whether a bracket begins the text, or quotation marks stand around it, so that it is no plain tag."""
    return text.startswith(_LIST_BEGINS) and _LIST_LIKE.match(text) is not None


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """The tags without spaces around them, in their order, without empty ones and repetitions."""
    return tuple(dict.fromkeys(tag for tag in (item.strip() for item in items) if tag))
