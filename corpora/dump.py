"""Reader of Posts.xml, the Stack Exchange data dump's posts: one <row .../> a line.

Each line is parsed alone, so one bad row costs that row. Declarations of types and entities, which dumps never hold
and every XML attack needs, stop the reading.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.parsers import expat

from corpora.cleaning import clean_body, clean_title
from corpora.config import CorpusConfig
from corpora.errors import StackbertError
from corpora.lines import read_lines
from corpora.post import Post
from corpora.source import Dropped, Outcome, Source, bad_row, kept_or_dropped, post_url
from corpora.tags import parse_tags

ROWS_PER_CHUNK = 500
KINDS = {"1": "question", "2": "answer"}  # PostTypeId; the others are tag wikis, elections and notices
REFUSED = (b"<!DOCTYPE", b"<!ENTITY")

_ROW = re.compile(rb"<row[\s/]")
_FRAME = re.compile(rb"(?:<\?xml[^<>]*+>)?\s*+(?:</?[A-Za-z][\w.-]*+(?:\s[^<>]*+)?>)?")  # header, root: begin or end

Line = tuple[int, bytes]
"""Byte offset and content."""


class RowError(ValueError):
    """One row cannot be read."""


def dump_source(path: Path, config: CorpusConfig) -> Source:
    """The posts of a Posts.xml."""
    return Source({"source": path}, partial(dump_chunks, path), partial(parse_chunk, config=config))


def dump_chunks(path: Path) -> Iterator[list[Line]]:
    """Yield the lines that hold rows, or should, with their byte offsets.

    Raises StackbertError for a type or entity declaration, an unclosed comment or a line above 4 MB.
    """
    chunk: list[Line] = []
    for line in _content_lines(path):
        chunk.append(line)
        if len(chunk) == ROWS_PER_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def parse_chunk(chunk: list[Line], config: CorpusConfig) -> list[Outcome]:
    """One outcome for each line."""
    return [_parse_line(offset, line, config) for offset, line in chunk]


def parse_row(line: bytes) -> dict[str, str]:
    """The attributes of a single <row .../>.

    >>> parse_row(b'<row Id="4" Title="a &lt; b" />')
    {'Id': '4', 'Title': 'a < b'}
    """
    elements: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = lambda name, attributes: elements.append((name, attributes))
    parser.StartDoctypeDeclHandler = _refuse_declaration
    try:
        parser.Parse(line, True)
    except expat.ExpatError as error:
        raise RowError(str(error)) from None
    (name, attributes), *inner = elements
    if name != "row" or inner:
        raise RowError(f"expected one <row .../>, found <{name}>" + (" with elements inside" if inner else ""))
    return attributes


def _content_lines(path: Path) -> Iterator[Line]:
    """Lines without the header, comments and the root element, each of which may be missing."""
    comment_offset: int | None = None
    for offset, _, line in read_lines(path):
        if any(word in line for word in REFUSED):
            raise StackbertError(
                f"{path}: byte {offset}: declares a document type or entity; dumps never do, so this file is not read"
            )
        content = line.strip()
        if comment_offset is None and content.startswith(b"<!--"):
            comment_offset = offset
        if comment_offset is not None:
            _, closed, content = content.partition(b"-->")
            content = content.strip()
            comment_offset = None if closed else comment_offset
        if _ROW.match(content) or not _FRAME.fullmatch(content):
            yield offset, content
    if comment_offset is not None:
        raise StackbertError(f"{path}: the comment that begins at byte {comment_offset} is never closed")


def _parse_line(offset: int, line: bytes, config: CorpusConfig) -> Outcome:
    where = f"byte {offset}"
    if not _ROW.match(line):
        return bad_row(where, "not a row; each line should hold one <row .../>", line)
    try:
        row = parse_row(line)
    except RowError as error:
        return bad_row(where, str(error), line)
    kind = KINDS.get(row.get("PostTypeId", ""))
    if kind is None:
        return Dropped("other_type")
    if not row.get("Id"):
        return bad_row(where, "no Id", line)
    if config.drop_closed and row.get("ClosedDate"):
        return Dropped("closed")
    return kept_or_dropped(_post(row, kind, config), config)


def _post(row: dict[str, str], kind: str, config: CorpusConfig) -> Post:
    return Post(
        id=row["Id"],
        kind=kind,
        title=clean_title(row.get("Title", "")),
        text=clean_body(row.get("Body", ""), "text" if config.format == "text" else "html"),
        tags=parse_tags(row.get("Tags", "")),
        parent_id=row.get("ParentId") if kind == "answer" else None,
        score=_score(row.get("Score", "")),
        created=row.get("CreationDate"),
        license=row.get("ContentLicense"),
        url=post_url(config, kind, row["Id"]),
        author=row.get("OwnerDisplayName") or row.get("OwnerUserId"),
    )


def _score(text: str) -> int | None:
    """A score that fits the column of 32 bits."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None


def _refuse_declaration(*_: object) -> None:
    raise RowError("declares a document type")
