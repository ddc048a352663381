"""A file's lines as bytes, with a bound on their length."""

from collections.abc import Iterator
from pathlib import Path

from corpora.errors import StackbertError

MAX_LINE_BYTES = 4 * 2**20
"""A post has 30,000 characters at most, escaped some 200 kB; a longer line than this is an attack or another format."""

ARCHIVES = {b"7z\xbc\xaf\x27\x1c": "7z", b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield (byte offset, line number from 1, line) without a byte order mark; memory stays at one line.

    Raises StackbertError for archives, UTF-16 and lines above 4 MB.
    """
    with path.open("rb") as file:
        refuse_other_encodings(path, file.peek(8))
        offset, number = 0, 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise StackbertError(
                    f"{path}: line {number} at byte {offset} is longer than {MAX_LINE_BYTES:,} bytes; "
                    "no post is, so the file is damaged or not in this format"
                )
            yield offset, number, line.removeprefix(BYTE_ORDER_MARK) if offset == 0 else line
            offset += len(line)


def refuse_other_encodings(path: Path, head: bytes) -> None:
    """Raise StackbertError where a file's first bytes are an archive's or UTF-16's."""
    for magic, name in ARCHIVES.items():
        if head.startswith(magic):
            raise StackbertError(f"{path}: is a {name} archive; unpack it and name the file inside")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StackbertError(f"{path}: is UTF-16; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")
