"""Reads JSON values one after another: a list, values without commas, or a list inside one object; as a stream."""

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from stackbert.core.errors import StackbertError

BLOCK_CHARACTERS = 1 << 20
MAX_VALUE = 4 << 20
"""Characters of one value; no post is so long."""

LONGEST_TOKEN = 16
"""Characters of an escape or a word; an error before them is no matter of the text's end."""

Numbered = tuple[int, Any]
"""Line number on which a value begins, and the value."""

_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class LongValueError(StackbertError):
    """A value that does not fit into memory."""


@dataclass
class JsonStream:
    """A text of JSON values, of which a few MB are in memory."""

    file: IO[str]
    path: Path
    line: int = 1
    _text: str = ""
    _at: int = 0
    _ended: bool = False
    _seen: int = 0
    """Characters of the text in which line breaks have been counted."""

    def values(self) -> Iterator[Numbered]:
        """Yield the elements of a list, or the values that follow one another."""
        if self.take("["):
            yield from self.elements()
        else:
            while self.peek():
                yield self.value()
        if self.peek():
            raise self.error("text after the list")

    def elements(self) -> Iterator[Numbered]:
        """Yield the elements of a list of which the bracket has been taken."""
        if self.take("]"):
            return
        while True:
            yield self.value()
            if self.take("]"):
                return
            if not self.take(","):
                raise self.error("',' or ']' is missing")

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            found = _BLANKS.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def take(self, character: str) -> bool:
        """Whether the next character is the given one, which is then taken."""
        is_next = self.peek() == character
        self._at += is_next
        return is_next

    def value(self) -> Numbered:
        """The next value, with its line."""
        self.peek()
        value, end, problem = None, 0, ""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                problem = ""
                is_whole = end < len(self._text)  # a number that ends with the text may go on
            except json.JSONDecodeError as error:
                problem, is_whole = error.msg, not self._is_cut(error)
            except (ValueError, RecursionError) as error:
                problem, is_whole = str(error), True
            if is_whole or self._ended:
                break
            self._more()
            if len(self._text) - self._at > MAX_VALUE:
                raise LongValueError(
                    f"{self.path}: line {self._count_lines()}: a value is longer than {MAX_VALUE:,} characters"
                )
        if problem:
            raise self.error(problem)
        line, self._at = self._count_lines(), end
        return line, value

    def list_in_object(self, name: str | None) -> Iterator[Numbered]:
        """Yield the elements of the list of objects that is the member `name` of an object; None: the first such list.

        Raises StackbertError if there is none, or another one.
        """
        found, is_first = "", True
        self.take("{")
        while self.peek() not in ("}", ""):
            if not (is_first or self.take(",")):
                raise self.error("',' is missing")
            _, key = self.value()
            if not self.take(":"):
                raise self.error("':' is missing")
            is_first = False
            if self.peek() != "[" or name not in (None, key):
                self.value()
                continue
            self.take("[")
            if self.peek() != "{":
                deque(self.elements(), 0)
                continue
            if found:
                raise StackbertError(f"{self.path}: has two lists of objects, {found!r} and {key!r}; {in_lines(key)}")
            found = key
            yield from self.elements()
        if not self.take("}"):
            raise self.error("the object does not end")
        if not found:
            raise StackbertError(f"{self.path}: is one JSON object, not a list of rows")

    def error(self, what: str) -> StackbertError:
        """An error that names the line."""
        return StackbertError(f"{self.path}: line {self._count_lines()}: is not JSON: {what}; write the table again")

    def _is_cut(self, error: json.JSONDecodeError) -> bool:
        """Whether a value may be wrong only because its end has not been read."""
        return error.msg.startswith("Unterminated") or error.pos > len(self._text) - LONGEST_TOKEN

    def _count_lines(self) -> int:
        self.line += self._text.count("\n", self._seen, self._at)
        self._seen = self._at
        return self.line

    def _more(self) -> None:
        """Read a block, and forget what has been taken."""
        self._count_lines()
        block = self.file.read(max(BLOCK_CHARACTERS, len(self._text) - self._at))
        self._text, self._at, self._seen = self._text[self._at :] + block, 0, 0
        self._ended = not block


def in_lines(key: str) -> str:
    """How to write the rows that a member of an object holds."""
    return f"write the rows: jq -c '.{key}[]' FILE.json > FILE.jsonl"
