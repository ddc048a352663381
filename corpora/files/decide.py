"""Decides the dialect of a delimited file: the one with which every row of a sample has the header's fields.

The sample is read with each dialect that it can be in. One whole reading is taken; where two whole readings say
different things, and no habit of the programs that write tables favours one, the user is asked to name the dialect.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from corpora.files.dialect import NO_DELIMITER, QUOTE_CHARACTERS, Dialect, DialectSettings
from corpora.files.reading import Reading, Sample, read_sample
from stackbert.core.errors import StackbertError

DELIMITERS = ",;\t|"
BARE_DELIMITERS = "\t|"  # files with these are often written without quotes
LEAST_SHARE = 0.9  # of the lines that must be in rows, where the header leaves the delimiter open

_ESCAPED_QUOTE = re.compile(r'\\"(?!")')


def decide(path: Path, sample: Sample, settings: DialectSettings, newline: str = "\n") -> Reading:
    """The sample read with the file's dialect; raises StackbertError where it must be named."""
    heading = next((line for line in sample.lines if line.strip()), "")
    found = settings.separator or "".join(character for character in DELIMITERS if character in heading)
    if "\t" in found and path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab")):
        found = "\t"
    if not found:
        return _one_column(path, sample, settings, newline)
    readings = [_quoted(path, sample, Dialect(character, newline=newline), settings) for character in found]
    fitting = [reading for reading in readings if reading.share >= LEAST_SHARE and len(reading.header) > 1]
    best = [reading for reading in fitting if reading.is_whole] or fitting
    bare = sum(not any(character in line for character in found) for line in sample.lines)
    if not best and not settings.separator and bare > len(sample.lines) / 2:
        lines = _one_column(path, sample, settings, newline)
        best = [lines] if lines.is_whole else []
    if len(best) == 1 or len(readings) == 1:
        return (best or readings)[0]
    what = "rows can be read with each of" if best else "the rows have not the fields of the header with any of"
    listed = ", ".join(repr(character) for character in found)
    raise StackbertError(f"{path}: {what} {listed}; name the delimiter (comma, semicolon, tab, pipe or a character)")


def _one_column(path: Path, sample: Sample, settings: DialectSettings, newline: str) -> Reading:
    """A header without a delimiter: quoted as comma-separated rows of one field, or plain lines."""
    reading = _quoted(path, sample, Dialect(",", newline=newline), settings)
    return reading if reading.is_whole else _quoted(path, sample, Dialect(NO_DELIMITER, newline=newline), settings)


def _quoted(path: Path, sample: Sample, base: Dialect, settings: DialectSettings) -> Reading:
    """The sample read with the quotes and escapes that are named, or else fit."""
    quotes = [QUOTE_CHARACTERS[settings.quote]] if settings.quote != "auto" else ['"', "", "'"]
    escapes = [settings.escape == "backslash"] if settings.escape != "auto" else [False, True]
    pairs = [(quote, escape) for escape in escapes for quote in quotes]
    pairs = [pair for pair in pairs if pair != ("'", True) or "auto" not in (settings.quote, settings.escape)] or pairs
    dialects = [replace(base, quote=quote, backslash=escape) for quote, escape in pairs]
    usual = read_sample(sample, dialects[0])
    if usual.is_whole:
        others = [read_sample(sample, each) for each in dialects[1:] if _rivals(each, usual, sample)]
        rivals = [other for other in others if other.is_whole and _differ(usual, other)]
        rivals = [other for other in rivals if other.dialect.quote or other.dialect.backslash or _is_bare(other)]
        if rivals and (_has_single_quoted_header(usual) or _is_escaped(rivals[0], sample)):
            return rivals[0]
        return _only([usual, *rivals], path)
    others = [read_sample(sample, each) for each in dialects[1:] if _is_possible(each, sample)]
    others += [read_sample(sample, replace(dialects[0], spaced=True))] if _is_spaced(usual) else []
    others = [other for other in others if _has_reason(other, sample)]
    whole = [other for other in others if other.is_whole]
    return _only(whole, path) if whole else max([usual, *others], key=lambda reading: reading.share)


def _rivals(dialect: Dialect, usual: Reading, sample: Sample) -> bool:
    """Whether a dialect may say something else of a sample that is whole in the usual one."""
    if not _is_possible(dialect, sample):
        return False
    if dialect.backslash:
        return bool(dialect.quote) == bool(usual.dialect.quote) and _escapes_only(sample, usual)
    if dialect.quote == "'":
        return any(_is_single_quoted(value) for row in usual.rows for value in row) or _has_single_quoted_header(usual)
    return dialect.delimiter in BARE_DELIMITERS and not dialect.quote


def _is_possible(dialect: Dialect, sample: Sample) -> bool:
    """Whether the sample has the characters that distinguish a dialect."""
    characters = ["\\"] if dialect.backslash else ['"'] if not dialect.quote else [dialect.quote]
    return all(character in sample.text for character in characters)


def _has_reason(reading: Reading, sample: Sample) -> bool:
    """Whether something in a sample that is not whole in the usual dialect speaks for this one."""
    dialect = reading.dialect
    if dialect.spaced:
        return reading.is_whole
    if dialect.quote == "'":
        begins = re.search(rf"(?m)(?:^|{re.escape(dialect.delimiter)})'", sample.text)
        return reading.is_whole and begins is not None
    if dialect.backslash:
        mark = '\\"' if dialect.quote else "\\" + dialect.delimiter
        return mark in sample.text or (not dialect.quote and "\\\n" in sample.text)
    closed, opened = reading.quotes
    if dialect.delimiter in BARE_DELIMITERS:
        return opened > closed
    return opened > 0 and closed == 0 and not sample.is_cut  # quotes may yet enclose fields in the rest of the file


def _escapes_only(sample: Sample, usual: Reading) -> bool:
    """Whether each backslash of the sample stands before something that needs one, so that it may be an escape."""
    # Escaped ends of lines show as rows of other lengths, unless rows have one field or escaped delimiters, too.
    may_hide = len(usual.header) == 1 or "\\" + usual.dialect.delimiter in sample.text
    line_ends = "\r\n" if may_hide else ""
    delimiter = re.escape(usual.dialect.delimiter)
    null = rf"(?<![^\n{delimiter}])\\N(?![^\r\n{delimiter}])"  # as MySQL and Postgres write it
    return "\\" not in re.sub(rf'{null}|\\[\\"{line_ends}{delimiter}]', "", sample.text)


def _is_escaped(reading: Reading, sample: Sample) -> bool:
    """Whether a quote after a backslash stands where no program that doubles quotes would leave one."""
    dialect = reading.dialect
    return dialect.backslash and dialect.delimiter not in BARE_DELIMITERS and bool(_ESCAPED_QUOTE.search(sample.text))


def _is_bare(reading: Reading) -> bool:
    """Whether the quotes, which a reading leaves alone, do not stand as programs set them."""
    return not reading.is_quoted_by_rule()


def _is_single_quoted(value: str) -> bool:
    """Whether a value stands in single quotes for a reason: quotes within it are doubled, a line ends in it, or
    nothing is in it."""
    if len(value) < 2 or not value[0] == value[-1] == "'":
        return False
    inner = value[1:-1]
    return not inner or "\r" in inner or ("''" in inner and "'" not in inner.replace("''", ""))


def _is_spaced(reading: Reading) -> bool:
    return len(reading.header) > 1 and all(name.startswith(" ") for name in reading.header[1:])


def _has_single_quoted_header(reading: Reading) -> bool:
    return bool(reading.header) and all(len(name) > 2 and name[0] == name[-1] == "'" for name in reading.header)


def _only(readings: Sequence[Reading], path: Path) -> Reading:
    """The reading with which all others agree; raises StackbertError if one says something else."""
    first = readings[0]
    for other in readings[1:]:
        if differing := _differ(first, other):
            raise StackbertError(f"{path}: {differing}; name which: {_choice(first.dialect, other.dialect)}")
    return first


def _choice(one: Dialect, two: Dialect) -> str:
    """The settings that tell two dialects apart."""
    names = {character: name for name, character in QUOTE_CHARACTERS.items()}
    if one.quote != two.quote:
        return f"quote {names[one.quote]} or {names[two.quote]}"
    return f"escape {' or '.join('backslash' if each.backslash else 'doubled' for each in (one, two))}"


def _differ(one: Reading, two: Reading) -> str:
    """Where two readings first say something different; empty if they agree."""
    for row, other in zip((one.header, *one.rows), (two.header, *two.rows), strict=False):
        for name, value, another in zip(one.header, row, other, strict=False):
            if value != another:
                return f"column {name!r}: a field can be read as {value!r} or as {another!r}"
    if len(one.rows) == len(two.rows):
        return ""
    return f"can be read as {len(one.rows)} rows or as {len(two.rows)}"
