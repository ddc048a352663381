"""Reads the date in a cell, in the order and unit that were decided for its column."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from corpora.cells.value import CellError, decoded, is_integer, is_missing, kind_of, shown, unwrapped
from corpora.config import DateOrder

UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
"""Numbers a second, by the unit of time since 1970."""
EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100 in seconds; in this range a number has one unit only
PIVOT = 69  # two digits from here on are years of the 20th century, as POSIX has it

_TIME = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?)?(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d))?"
)
_NUMERIC = re.compile(
    r"(?P<first>\d{1,4})(?P<sign>[/.-])(?P<middle>\d{1,2})(?P=sign)(?P<last>\d{1,2}|\d{4})" + _TIME, re.ASCII
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_NAMED = [
    re.compile(
        r"(?:[A-Za-z]{3,9}\.?,?\s+)?"
        + _DAY
        + r"[\s/-]+(?P<month>[A-Za-z]{3,9})\.?,?[\s/-]+(?P<year>\d{4}|\d\d)"
        + _TIME
    ),
    re.compile(r"(?:[A-Za-z]{3,9},\s+)?(?P<month>[A-Za-z]{3,9})\.?\s+" + _DAY + r",?\s+(?P<year>\d{4})" + _TIME),
    re.compile(r"[A-Za-z]{3}\s+(?P<month>[A-Za-z]{3})\s+" + _DAY + _TIME + r"\s+(?P<year>\d{4})"),
]
_DIGITS = re.compile(r"\d{9,19}(?:\.\d+)?", re.ASCII)
_MONTHS = "january february march april may june july august september october november december".split()


@dataclass(frozen=True)
class DateReader:
    """How the dates of a column are read; the same for all its rows."""

    order: DateOrder = "auto"
    """Of day and month in numbers such as 03/04/2021; 'auto' where no date of the column needs it."""
    short_years: bool = False
    """Whether 03/04/21 is read; only where the order was named, since 21 might be the day."""
    unit: str | None = None
    """Of numbers: what they count since 1970, a name in UNITS."""

    @property
    def description(self) -> str:
        """How the dates are read, in words."""
        found = [f"{self.unit} since 1970"] if self.unit else ["ISO 8601"]
        if self.order != "auto":
            found.append("day/month/year" if self.order == "day-first" else "month/day/year")
        return " or ".join(found) + "; without a time zone, in UTC"

    def read(self, value: Any) -> str | None:
        """The date as ISO 8601, None if it is missing; raises CellError for a value that is no date of the column."""
        value = unwrapped(value)
        if isinstance(value, bytes):
            value = decoded(value)
        if isinstance(value, str):
            return self._read_text(value.strip())
        if is_missing(value):
            return None
        if isinstance(value, datetime):
            return _iso(datetime.combine(value.date(), value.time(), value.tzinfo))  # pandas has a subclass with more
        if isinstance(value, date):
            return value.isoformat()
        if is_integer(value) or isinstance(value, float | Decimal):
            return self._number(value)
        raise CellError(f"{kind_of(value)}, {shown(value)}")

    def _read_text(self, text: str) -> str | None:
        if not text or text.startswith("0000-00-00"):  # MySQL's missing date
            return None
        if self.unit and _DIGITS.fullmatch(text):
            return self._number(Decimal(text))
        found = _iso_date(text) or _named_date(text) or self._numeric_date(text)
        if found is None:
            raise CellError(f"{shown(text)}, which is no date" + (" in ISO 8601" if self.order == "auto" else ""))
        return _iso(found)

    def _number(self, value: float | Decimal) -> str:
        basic = _iso_date(str(value)) if is_integer(value) else None
        if basic:  # 20210305
            return _iso(basic)
        if not self.unit:
            raise CellError(f"{shown(value)}, a number that counts neither seconds nor milliseconds from 1990 to 2100")
        seconds = Decimal(value) / UNITS[self.unit]
        if not EARLIEST <= seconds < LATEST:
            raise CellError(f"{shown(value)}, which is not between 1990 and 2100 in {self.unit} since 1970")
        return _iso(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(seconds * 10**6)))

    def _numeric_date(self, text: str) -> datetime | None:
        found = _NUMERIC.fullmatch(text)
        if found is None:
            return None
        first, middle, last = found["first"], found["middle"], found["last"]
        if len(first) == 4:
            return _date(first, middle, last, found) if len(last) < 3 else None
        if self.order == "auto" or len(first) > 2 or len(last) == 1:
            return None
        if len(last) == 2 and not self.short_years:
            raise CellError(f"{shown(text)}, where the year has two digits; set date_order to read the last ones as it")
        day, month = (first, middle) if self.order == "day-first" else (middle, first)
        return _date(last, month, day, found)


def decide_dates(values: Iterable[Any], order: DateOrder = "auto") -> DateReader:
    """How to read a column, from a sample of it; raises CellError if day and month cannot be told apart."""
    texts, numbers = list[str](), list[Decimal]()
    for value in map(unwrapped, values):
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if is_missing(value):
            continue
        if is_integer(value) or isinstance(value, float | Decimal):
            text = str(value)
        if isinstance(text, str):
            text = text.strip()
            is_number = _DIGITS.fullmatch(text) and not _iso_date(text)
            numbers.append(Decimal(text)) if is_number else texts.append(text)
    units = [name for name in UNITS if numbers and _fits(numbers, UNITS[name])]
    found = _order(texts) if order == "auto" else order
    return DateReader(found, order != "auto", units[0] if units else None)


def _fits(numbers: list[Decimal], per_second: int) -> bool:
    """Whether nearly all numbers are times between 1990 and 2100."""
    fitting = sum(EARLIEST <= number / per_second < LATEST for number in numbers)
    return fitting >= 0.9 * len(numbers)


def _order(texts: list[str]) -> DateOrder:
    """The order that the numbers above 12 show; 'auto' where there are none such dates."""
    found = [match for match in map(_NUMERIC.fullmatch, texts) if match and len(match["first"]) <= 2]
    if not found:
        return "auto"
    days = [match[0] for match in found if int(match["first"]) > 12]
    months = [match[0] for match in found if int(match["middle"]) > 12]
    if bool(days) == bool(months):
        examples = f"{days[0]!r} and {months[0]!r}" if days else repr(found[0][0])
        raise CellError(f"{examples}, where day and month cannot be told apart; set date_order to say which is first")
    return "day-first" if days else "month-first"


def _iso_date(text: str) -> datetime | None:
    """A date in ISO 8601, also with ' UTC' after it as BigQuery has it, and 14 digits of date and time."""
    if text.isdecimal():
        if len(text) not in (8, 14):
            return None
        text = f"{text[:8]}T{text[8:]}" if len(text) == 14 else text
    try:
        return datetime.fromisoformat(text.removesuffix(" UTC") + "+00:00" if text.endswith(" UTC") else text)
    except ValueError:
        return None


def _named_date(text: str) -> datetime | None:
    """A date with the month's English name, as in mail and Jira: '5 Mar 2021 15:42 +0100', '05/Mar/21 3:42 PM'."""
    for pattern in _NAMED:
        if found := pattern.fullmatch(text):
            name = found["month"].lower()
            months = [number for number, month in enumerate(_MONTHS, 1) if month.startswith(name)]
            if len(months) == 1:
                return _date(found["year"], str(months[0]), found["day"], found)
    return None


def _date(year: str, month: str, day: str, time: re.Match[str]) -> datetime | None:
    """The date with the time that a match of _TIME holds; None if there is no such date."""
    number = int(year)
    if len(year) == 2:
        number += 1900 if number >= PIVOT else 2000
    hour = int(time["hour"] or 0)
    if time["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if time["half"] in "pP" else 0)
    micro = int((time["fraction"] or "0")[:6].ljust(6, "0"))
    try:
        return datetime(
            number,
            int(month),
            int(day),
            hour,
            int(time["minute"] or 0),
            int(time["second"] or 0),
            micro,
            _zone(time["zone"]),
        )
    except ValueError:
        return None


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _iso(moment: datetime) -> str:
    return moment.isoformat()
