"""Reads the tags in a cell, in the notation that was decided for its column."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from corpora.cells.tag_notations import EMPTY, LISTS, NO_LIST, SEPARATORS, SHOWN, bounded_pipes, is_list_like, unique
from corpora.cells.value import CellError, decoded, is_missing, kind_of, shown, whole_number, without_zero
from corpora.config import TagsFormat

NAME_KEYS = ("name", "value", "label", "title")
"""Where the name of a label stands in an object, by precedence: GitHub has 'name', Jira 'name' or 'value'."""
NO_CLASS = -1  # Hugging Face data sets have it for 'no label'

_STRONG = [(name, sign) for name, sign in SEPARATORS.items() if name != "space"]


@dataclass(frozen=True, eq=False)  # the cache finds it by identity, which is quick
class TagReader:
    """How the tags of a column are read; the same for all its rows."""

    notation: TagsFormat | None = None
    """Of texts; None where the column has none."""
    named: bool = False
    """Whether the user named the notation, so that no other is suspected."""
    spaces: bool = True
    """Whether a tag may contain a space, where the notation is 'single'."""
    key: str | None = None
    """Of objects: where the name stands."""
    classes: tuple[str, ...] = ()
    """Names of numbered classes; a number is an index in them."""
    whole: bool = False
    """Whether '3.0' is the class 3 of a column with gaps."""
    separator: str = ""
    """What the user named as standing between tags, instead of a notation."""

    def read(self, value: Any) -> tuple[str, ...]:
        """The tags in their order, without repetitions; raises CellError for a value that contradicts the column."""
        if isinstance(value, str):
            return _read_text(self, value)
        if isinstance(value, bytes):
            return _read_text(self, decoded(value))
        if is_missing(value):
            return ()
        return self._names(value) if isinstance(value, list) else unique((self._name(value),))

    def read_text(self, text: str) -> tuple[str, ...]:
        """The tags in a text."""
        text = text.strip()
        if not text or text in EMPTY:
            return ()
        if self.separator:
            if is_list_like(text):
                raise CellError(f"{shown(text)}, which is a list and not separated by {self.separator!r}")
            return unique(text.split(self.separator))
        if self.notation is None:
            raise CellError(f"a text, {shown(text)}; the first rows have none")
        if self.notation in LISTS:
            items = [] if text in NO_LIST else LISTS[self.notation](text)
            if items is None:
                raise self._contradiction(text)
            return self._names(items)
        bounded = self.notation == "pipe" and bounded_pipes(text)
        if not bounded and self._contradicts(text):
            raise self._contradiction(text)
        if self.notation == "single":
            return (without_zero(text) if self.whole else text,)
        separator = SEPARATORS[self.notation]
        return unique(bounded or (text.split() if separator == " " else text.split(separator)))

    def _names(self, items: list[Any]) -> tuple[str, ...]:
        items = [item for item in items if not is_missing(item)]
        numbers = [
            item for item in items if isinstance(item, int | float) or (isinstance(item, str) and item.isdecimal())
        ]
        if len(numbers) > len(set(numbers)):
            raise CellError(f"{shown(items)}, where numbers repeat: one number a class is no list of tags")
        return unique(map(self._name, items))

    def _name(self, item: Any) -> str:
        """The tag that an item of a list, or a cell that is no list, names."""
        if isinstance(item, bytes):
            item = decoded(item)
        if isinstance(item, str):
            return item
        if isinstance(item, bool):
            return "true" if item else "false"
        if isinstance(item, Mapping):
            name = item.get(self.key) if self.key else None
            if not isinstance(name, str):
                raise CellError(f"an object without {self.key or 'name'!r}: {shown(item)}")
            return name
        if isinstance(item, list | tuple) or not isinstance(item, int | float | Decimal):
            raise CellError(f"{kind_of(item)} as a tag: {shown(item)}")
        return self._class(item if isinstance(item, int) else whole_number(item))

    def _class(self, number: int) -> str:
        if not self.classes:
            return str(number)
        if number == NO_CLASS:
            return ""
        if not 0 <= number < len(self.classes):
            raise CellError(f"the class {number}, of {len(self.classes)}")
        return self.classes[number]

    def _contradicts(self, text: str) -> bool:
        """Whether the text seems to be in another notation than that of the column."""
        if self.named:
            return self.notation != "single" and is_list_like(text)
        return is_list_like(text) or not separators_fit(text, self.notation, self.spaces)

    def _contradiction(self, text: str) -> CellError:
        assert self.notation
        how = "tags_format says" if self.named else "in the first rows"
        return CellError(f"{shown(text)}, which is not written as {how}: {SHOWN[self.notation]}")


def separators_fit(text: str, notation: str | None, spaces: bool = True) -> bool:
    """Whether the separators in a text are those of the notation; a space may also stand in a tag."""
    found = [name for name, sign in _STRONG if sign in text]
    if found:
        return found == [notation]
    return notation != "single" or spaces or " " not in text


@lru_cache(maxsize=4_096)  # a few sets of tags occur on many posts
def _read_text(reader: TagReader, text: str) -> tuple[str, ...]:
    return reader.read_text(text)
