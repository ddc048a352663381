"""The dialect of a delimited file: what separates its fields, and how they are quoted."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from stackbert.core.errors import StackbertError

DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
NO_DELIMITER = "\x1f"
"""Separates units in ASCII and stands in no text: with it, each line is one field."""
Quote = Literal["auto", "double", "single", "none"]
Escape = Literal["auto", "doubled", "backslash"]
QUOTE_CHARACTERS = {"double": '"', "single": "'", "none": ""}
EITHER_QUOTE = "\"'"


@dataclass(frozen=True)
class DialectSettings:
    """What a user names of the dialect; the rest is found."""

    delimiter: str = "auto"
    quote: Quote = "auto"
    escape: Escape = "auto"
    encoding: str = "auto"

    def __post_init__(self) -> None:
        if self.delimiter != "auto" and not self.separator:
            names = ", ".join(DELIMITER_NAMES)
            raise StackbertError(f"delimiter must be auto, {names} or one character, not {self.delimiter!r}")

    @property
    def separator(self) -> str:
        """The named delimiter as a character; empty if none or nonsense is named."""
        named = "\t" if self.delimiter == r"\t" else DELIMITER_NAMES.get(self.delimiter, self.delimiter)
        return named if len(named) == 1 and named not in "\"'\\\r\n" else ""


@dataclass(frozen=True)
class Dialect:
    """How a delimited text is divided into fields."""

    delimiter: str = ","
    quote: str = '"'
    """Character around fields; empty: quote characters are text, as in TSV by its IANA definition."""
    backslash: bool = False
    """A backslash takes the next character as it is where that is a quote, a delimiter, a line's end or a backslash;
    else it is text, as Spark and MySQL (\\N) write it. Without this, a quote in quotes is doubled."""
    spaced: bool = False
    """Spaces after a delimiter are not part of the field."""
    newline: str = "\n"
    r"""End of a row: '\n', also after '\r', or the '\r' of old Macintosh programs."""

    def reader(self, lines: Iterable[str]) -> Any:
        """A csv.reader that raises csv.Error where a quoted field does not end at a delimiter or a line's end."""
        if self.backslash:  # the csv module drops a backslash that is text, as in C:\temp
            escape = re.compile(rf"\\[\\\r\n{re.escape(self.delimiter + (self.quote or EITHER_QUOTE))}]|(\\)")
            lines = (escape.sub(_kept, line) if "\\" in line else line for line in lines)
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            escapechar="\\" if self.backslash else None,
            skipinitialspace=self.spaced,
            strict=True,
        )

    def quoted_by(self, quote: str, backslash: bool = False) -> "Dialect":
        return replace(self, quote=quote, backslash=backslash)

    def __str__(self) -> str:
        names = {character: name for name, character in DELIMITER_NAMES.items()}
        separated = f"{names.get(self.delimiter, repr(self.delimiter))}-separated"
        parts = ["one column" if self.delimiter == NO_DELIMITER else separated]
        parts.append(f"quoted with {self.quote}" if self.quote else "quotes are text")
        parts += ["backslash escapes"] if self.backslash else []
        parts += ["spaces after delimiters skipped"] if self.spaced else []
        return ", ".join(parts)


def _kept(found: re.Match[str]) -> str:
    """An escape as it is; a backslash that is text, escaped."""
    return r"\\" if found[1] else found[0]
