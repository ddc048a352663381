"""Tag synonyms: which tag replaces which, as the site's moderators decided."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

from corpora.files.delimited import open_delimited, say_once
from corpora.files.encoding import BROKEN_BYTE
from corpora.files.rows import BadLines
from corpora.sources.dump import dump_lines
from corpora.sources.dump_row import RowError, parse_row
from corpora.sources.lines import require_file
from stackbert.core.errors import StackbertError

COLUMNS = (("SourceTagName", "TargetTagName"), ("source", "target"))
"""Names of the two columns: in an export of Data Explorer, and in a table made by hand."""
APPROVAL = "ApprovalDate"
SYNONYMS_FILE = "a CSV or TagSynonyms.xml of source and target tags"

Row = tuple[str, Mapping[str, str]]
"""Line or byte offset, and values by column."""


def load_synonyms(path: Path) -> dict[str, str]:
    """Tag -> the tag that replaces it, with chains resolved, from a CSV or a TagSynonyms.xml.

    If the file has approval dates, synonyms without one are skipped: they are proposals. Raises StackbertError for
    missing columns, an empty tag, two targets for one tag, and synonyms that form a circle.
    """
    require_file(path, SYNONYMS_FILE)
    rows = list(_xml_rows(path) if path.suffix.lower() == ".xml" else _csv_rows(path))
    source, target = _columns(path, rows)
    has_approval = any(APPROVAL in row for _, row in rows)
    direct: dict[str, str] = {}
    for where, row in rows:
        if has_approval and not row.get(APPROVAL, "").strip():
            continue
        old, new = (row.get(name, "").strip() for name in (source, target))
        if not old or not new:
            raise StackbertError(f"{path}: {where}: a tag is missing; each row should name a {source} and a {target}")
        if direct.setdefault(old, new) != new:
            raise StackbertError(f"{path}: {where}: {old!r} becomes {new!r}, but {direct[old]!r} above; remove one")
    return {tag: _final(path, tag, direct) for tag in direct}


def apply_synonyms(tags: Iterable[str], synonyms: Mapping[str, str]) -> tuple[str, ...]:
    """The tags with each synonym replaced, in their order, without repetitions.

    >>> apply_synonyms(("js", "html", "javascript"), {"js": "javascript"})
    ('javascript', 'html')
    """
    return tuple(dict.fromkeys(synonyms.get(tag, tag) for tag in tags))


def lower_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags in lower case, in their order, without repetitions.

    >>> lower_tags(("Python", "SQL", "python"))
    ('python', 'sql')
    """
    return tuple(dict.fromkeys(tag.lower() for tag in tags))


def lower_synonyms(synonyms: Mapping[str, str]) -> dict[str, str]:
    """The synonyms of tags in lower case; one that differs from its target in case alone is left out."""
    return {old.lower(): new.lower() for old, new in synonyms.items() if old.lower() != new.lower()}


def _final(path: Path, tag: str, direct: Mapping[str, str]) -> str:
    """The last tag of the chain that begins at `tag`."""
    chain = {tag: None}  # a dictionary, for its order
    while chain_end := direct.get(tag):
        if chain_end in chain:
            circle = " -> ".join((*chain, chain_end))
            raise StackbertError(f"{path}: the synonyms form a circle: {circle}; remove one of these rows")
        chain[chain_end] = None
        tag = chain_end
    return tag


def _columns(path: Path, rows: list[Row]) -> tuple[str, str]:
    names = list(dict.fromkeys(name for _, row in rows for name in row))
    for pair in COLUMNS:
        if set(pair) <= set(names):
            return pair
    wanted = " or ".join(" and ".join(pair) for pair in COLUMNS)
    raise StackbertError(f"{path}: needs the columns {wanted}; it has {', '.join(names) or 'no rows'}")


def _csv_rows(path: Path) -> Iterator[Row]:
    file = open_delimited(path)
    say_once(f"{path}: {file}")
    for number, values in file.rows():
        if isinstance(values, BadLines):
            raise StackbertError(f"{path}: line {number}: {values.detail}; repair the line")
        if BROKEN_BYTE.search("".join(chain.from_iterable(values.values()))):
            raise StackbertError(f"{path}: line {number}: is not UTF-8; convert the file to UTF-8 (iconv)")
        yield f"line {number}", {name: value for name, value in values.items() if isinstance(value, str)}


def _xml_rows(path: Path) -> Iterator[Row]:
    for offset, line in dump_lines(path):
        try:
            yield f"byte {offset}", parse_row(line)
        except RowError as error:
            raise StackbertError(f"{path}: byte {offset}: {error}; the file is damaged, get it again") from None
