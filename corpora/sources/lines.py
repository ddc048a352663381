"""Lines of a file as bytes, of bounded length; and what kind of file it is."""

import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

from stackbert.core.errors import StackbertError

MAX_LINE_BYTES = 4 * 2**20
"""A post has at most 30,000 characters, escaped some 200 kB; a line longer than this is an attack or another format."""

ARCHIVES = {b"7z\xbc\xaf\x27\x1c": "7z", b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
BUFFER_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
"""Byte offset and content of a line."""


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
    """Yield the lines that begin at an offset in [start, end), as read_lines does."""
    with BufferedReader(path.open("rb", buffering=0), BUFFER_BYTES) as file:
        refuse_other_encodings(path, file.peek(8))
        offset = max(0, start - 1)
        file.seek(offset)
        if start:  # skip the rest of the line before; only its line break where a line begins at `start`
            offset += len(_read_line(file, path, offset))
        while offset < end and (line := _read_line(file, path, offset)):
            yield offset, line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
            offset += len(line)


def cut_parts(path: Path, blocks: Iterable[bytes], size: int) -> Iterator[Line]:
    """Cut a stream of blocks into parts: the lines that begin in each `size` bytes, as range_lines assigns them.

    Yields offset and text of each part. Raises StackbertError for lines above 4 MB; `path` is for errors.
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
            else:  # no line begins in this part
                yield start, b""
            border += size
    if rest:
        yield start, bytes(rest)


def split_lines(path: Path, text: bytes, start: int) -> Iterator[Line]:
    """Yield the lines of a text that begins at offset `start` of a file, as range_lines does; `path` is for errors."""
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
            "no post is so long, so the file is damaged or in another format"
        )


def refuse_other_encodings(path: Path, head: bytes) -> None:
    """Raise StackbertError if a file's first bytes are those of an archive or of UTF-16."""
    kind = _kind(head)
    if kind:
        raise StackbertError(f"{path}: is a {kind} archive; unpack it and name the file inside")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StackbertError(f"{path}: is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")


def require_file(path: Path, what: str) -> None:
    """Raise StackbertError if `path` is a folder, missing or empty; `what` says which file it should be."""
    if path.is_dir():
        raise StackbertError(f"{path}: is a folder; name the file in it: {what}")
    if not path.is_file():
        raise StackbertError(f"{path}: no such file; it should be {what}")
    if not path.stat().st_size:
        raise StackbertError(f"{path}: is empty, as after a download that failed; it should be {what}")


def archive_kind(path: Path) -> str | None:
    """'7z', 'zip', ... by a file's first bytes; None for a file that is no archive."""
    with path.open("rb") as file:
        return _kind(file.read(8))


def _kind(head: bytes) -> str | None:
    return next((name for magic, name in ARCHIVES.items() if head.startswith(magic)), None)
