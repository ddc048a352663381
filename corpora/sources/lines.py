"""A file's lines as bytes, with a bound on their length."""

import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

from stackbert.core.errors import StackbertError

MAX_LINE_BYTES = 4 * 2**20
"""A post has 30,000 characters at most, escaped some 200 kB; a longer line than this is an attack or another format."""

ARCHIVES = {b"7z\xbc\xaf\x27\x1c": "7z", b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
BUFFER_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
"""Byte offset and content."""


def read_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (byte offset, line number from 1, line) without a byte order mark; memory stays at one line.

    Raises StackbertError for archives, UTF-16 and lines above 4 MB.
    """
    with path.open("rb") as file:
        refuse_other_encodings(path, file.peek(8))
        offset, number = 0, 0
        while line := _read_line(file, path, offset):
            number += 1
            yield offset, number, line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
            offset += len(line)


def range_lines(path: Path, start: int = 0, end: int = sys.maxsize) -> Iterator[Line]:
    """Yield the lines that begin at a byte from `start` to below `end`, as read_lines does."""
    with BufferedReader(path.open("rb", buffering=0), BUFFER_BYTES) as file:
        refuse_other_encodings(path, file.peek(8))
        offset = max(0, start - 1)
        file.seek(offset)
        if start:  # the rest of a line that began before; empty but for its end where one begins at `start`
            offset += len(_read_line(file, path, offset))
        while offset < end and (line := _read_line(file, path, offset)):
            yield offset, line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
            offset += len(line)


def cut_parts(path: Path, blocks: Iterable[bytes], size: int) -> Iterator[Line]:
    """Cut a text that comes in blocks where range_lines would: the lines that begin in each `size` bytes, as one.

    Raises StackbertError for lines above 4 MB; `path` names the text.
    """
    rest, start, border = bytearray(), 0, size
    for block in blocks:
        rest += block
        while start + len(rest) >= border:
            end = rest.find(b"\n", max(0, border - 1 - start)) + 1
            if not end and start < border:
                _refuse_long(path, start, start + len(rest) - border)
                break
            if start < border:
                yield start, bytes(memoryview(rest)[:end])
                del rest[:end]
                start += end
            else:  # a line that began before covers the whole part
                yield start, b""
            border += size
    if rest:
        yield start, bytes(rest)


def split_lines(path: Path, text: bytes, start: int) -> Iterator[Line]:
    """Yield the lines of a text that begins at byte `start` of a file, as range_lines does; `path` is for errors."""
    file, offset = BytesIO(text), start
    while line := _read_line(file, path, offset):
        yield offset, line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
        offset += len(line)


def _read_line(file: BinaryIO, path: Path, offset: int) -> bytes:
    line = file.readline(MAX_LINE_BYTES + 1)
    _refuse_long(path, offset, len(line))
    return line


def _refuse_long(path: Path, offset: int, length: int) -> None:
    if length > MAX_LINE_BYTES:
        raise StackbertError(
            f"{path}: the line at byte {offset} is longer than {MAX_LINE_BYTES:,} bytes; "
            "no post is, so the file is damaged or not in this format"
        )


def refuse_other_encodings(path: Path, head: bytes) -> None:
    """Raise StackbertError where a file's first bytes are an archive's or UTF-16's."""
    kind = _kind(head)
    if kind:
        raise StackbertError(f"{path}: is a {kind} archive; unpack it and name the file inside")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StackbertError(f"{path}: is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")


def archive_kind(path: Path) -> str | None:
    """'7z', 'zip', ... by a file's first bytes; None for any other file."""
    with path.open("rb") as file:
        return _kind(file.read(8))


def _kind(head: bytes) -> str | None:
    return next((name for magic, name in ARCHIVES.items() if head.startswith(magic)), None)
