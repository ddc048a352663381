"""Reads Posts.xml of a Stack Exchange data dump: one <row .../> per line.

Each line is parsed separately, so a bad row costs only itself, and a file can be read from many offsets at once.
Declarations of types and entities are refused: no dump holds them, and every XML attack needs them.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.dump_row import RowError, parse_counted
from corpora.sources.lines import Line, archive_kind, cut_parts, range_lines, require_file, split_lines
from corpora.sources.source import Dropped, Outcome, Parts, Source, Stream, bad_row, post_url
from corpora.sources.tags import TagsError, dump_tags
from stackbert.core.errors import StackbertError

KINDS = {"1": "question", "2": "answer"}  # PostTypeId; other types are tag wikis, elections and notices
REFUSED = (b"<!DOCTYPE", b"<!ENTITY")
MEMBER = "Posts.xml"
DUMP_FILE = "a Posts.xml, or the .7z that holds it"

_ROW = re.compile(rb"<row[\s/]")
# The XML header, the start or the end of the root element.
_FRAME = re.compile(rb"(?:<\?xml[^<>]*+>)?\s*+(?:</?[A-Za-z][\w.-]*+(?:\s[^<>]*+)?>)?")


def dump_source(path: Path, config: CorpusConfig) -> Source:
    """The posts of a Posts.xml, or of the one in a .7z archive; both are divided into the same parts.

    Raises StackbertError if `path` is a folder or missing.
    """
    require_file(path, DUMP_FILE)
    size = config.part_bytes
    if archive_kind(path) == "7z":
        rows = Stream(partial(_archive_parts, path, size))
        return Source({"source": path}, partial(_parse_blocks, path, config=config), rows)
    parts = Parts(-(-path.stat().st_size // size), partial(part_lines, path, size))
    return Source({"source": path}, partial(parse_lines, config=config), parts)


def part_lines(path: Path, size: int, number: int) -> Iterator[Line]:
    """Yield the lines that begin in part `number` of `size` bytes each, with their byte offsets."""
    return content_lines(path, range_lines(path, number * size, (number + 1) * size))


def dump_lines(path: Path) -> Iterator[Line]:
    """Yield all lines of a file that should be rows, with their byte offsets."""
    return content_lines(path, range_lines(path))


def content_lines(path: Path, lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines without XML header, comments and root element, all of which are optional.

    Raises StackbertError for a declaration of a type or entity, and for an unclosed comment.
    """
    comment_offset: int | None = None
    for offset, line in lines:
        if b"<!" in line and any(word in line for word in REFUSED):
            raise StackbertError(
                f"{path}: byte {offset}: declares a document type or entity; no dump does, so this file is not read"
            )
        content = line.strip()
        if comment_offset is None and content.startswith(b"<!--"):
            comment_offset = offset
        if comment_offset is not None:
            _, closed, content = content.partition(b"-->")
            content = content.strip()
            comment_offset = None if closed else comment_offset
        if content.startswith(b"<row ") or _ROW.match(content) or not _FRAME.fullmatch(content):
            yield offset, content
    if comment_offset is not None:
        raise StackbertError(f"{path}: the comment that begins at byte {comment_offset} is never closed")


def parse_lines(lines: Iterable[Line], config: CorpusConfig) -> Iterator[Outcome]:
    """One outcome for each line."""
    for offset, line in lines:
        yield _parse_line(offset, line, config)


def _archive_parts(path: Path, size: int) -> Iterator[list[Line]]:
    """The parts of the file in the archive, each one block of text with its offset."""
    from corpora.sources.archive import stream_member  # py7zr is needed for archives alone

    return ([block] for block in cut_parts(path, stream_member(path, MEMBER), size))


def _parse_blocks(path: Path, blocks: Iterable[Line], config: CorpusConfig) -> Iterator[Outcome]:
    """One outcome for each line of the blocks."""
    for start, block in blocks:
        lines = split_lines(path, block, start)
        yield from parse_lines(content_lines(path, lines), config)


def _parse_line(offset: int, line: bytes, config: CorpusConfig) -> Outcome:
    where = f"byte {offset}"
    if not _ROW.match(line):
        return bad_row(where, "not a row; each line should hold one <row .../>", line)
    try:
        row, removed = parse_counted(line)
    except RowError as error:
        return bad_row(where, str(error), line)
    kind = KINDS.get(row.get("PostTypeId", ""))
    if kind is None:
        return Dropped("other_type", where)
    if not row.get("Id"):
        return bad_row(where, "no Id", line)
    try:
        post = _raw_post(row, kind, config)
    except TagsError as error:
        return bad_row(where, str(error), line)
    post.removed = removed
    return post


def _raw_post(row: dict[str, str], kind: str, config: CorpusConfig) -> RawPost:
    return RawPost(
        id=row["Id"],
        kind=kind,
        title=row.get("Title", ""),
        text=row.get("Body", ""),
        format="text" if config.format == "text" else "html",
        tags=dump_tags(row.get("Tags", "")),
        parent_id=row.get("ParentId") if kind == "answer" else None,
        accepted_answer_id=row.get("AcceptedAnswerId") if kind == "question" else None,
        score=_score(row.get("Score", "")),
        created=row.get("CreationDate"),
        license=row.get("ContentLicense"),
        url=post_url(config, kind, row["Id"]),
        author=row.get("OwnerDisplayName") or row.get("OwnerUserId"),
        closed="ClosedDate" in row,
    )


def _score(text: str) -> int | None:
    """A score that fits 32 bits, else None."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= 9 else None
