"""The beginning of a dump, as a small dump, taken from Posts.xml or its .7z; nothing else is unpacked."""

import time
from dataclasses import dataclass
from pathlib import Path

import py7zr
from py7zr.exceptions import ArchiveError
from py7zr.io import Py7zIO, WriterFactory

from corpora.errors import StackbertError
from corpora.lines import read_lines

MEMBER = "Posts.xml"


@dataclass(frozen=True)
class Head:
    """The first whole lines of a dump."""

    path: Path
    bytes: int
    dump_bytes: int
    """Of the whole dump, unpacked."""
    unpack_seconds: float
    """What the decompressor took for the head; 0 for a dump that is not packed."""


def take_head(dump: Path, head: Path, max_bytes: int) -> Head:
    """Write the first `max_bytes` of a dump, cut after a line, to the file `head`.

    Raises StackbertError where there is no such dump or archive member.
    """
    if not dump.is_file():
        raise StackbertError(f"{dump}: no such file; it should be a Posts.xml or its .7z")
    if dump.suffix.lower() == ".7z":
        return _head_of_archive(dump, head, max_bytes)
    written = 0
    with head.open("wb") as file:
        for _, _, line in read_lines(dump):
            if written + len(line) > max_bytes:
                break
            written += file.write(line)
    return Head(head, written, dump.stat().st_size, 0.0)


def _head_of_archive(archive: Path, head: Path, max_bytes: int) -> Head:
    writer = _Beginning(max_bytes)
    try:
        with archive.open("rb") as file, py7zr.SevenZipFile(file) as packed:
            xml = [entry for entry in packed.list() if entry.filename.lower().endswith(".xml")]
            member = next((entry for entry in xml if Path(entry.filename).name == MEMBER), None)
            member = member or (xml[0] if len(xml) == 1 else None)
            if member is None:
                raise StackbertError(
                    f"{archive}: holds no {MEMBER}, and {len(xml)} other .xml files; name another archive"
                )
            start = time.monotonic()
            try:
                packed.extract(targets=[member.filename], factory=_One(writer))
            except _Enough:
                pass
            seconds = time.monotonic() - start
    except (ArchiveError, OSError, EOFError, ValueError) as error:
        if isinstance(error, StackbertError):
            raise
        raise StackbertError(f"{archive}: cannot be read as a 7z archive: {error}; get it again") from None
    unpacked = bytes(writer.content)
    lines = unpacked if len(unpacked) == member.uncompressed else unpacked[: unpacked.rfind(b"\n") + 1]
    head.write_bytes(lines)
    return Head(head, len(lines), int(member.uncompressed), seconds)


class _Enough(Exception):  # noqa: N818 - no error: it ends the reading
    """The beginning is complete."""


class _Beginning(Py7zIO):
    """Keeps the first bytes that are written."""

    def __init__(self, max_bytes: int) -> None:
        self.content = bytearray()
        self._max_bytes = max_bytes

    def write(self, s: bytes | bytearray) -> int:
        """Keep `s` as far as there is room."""
        self.content += s[: self._max_bytes - len(self.content)]
        if len(self.content) >= self._max_bytes:
            raise _Enough
        return len(s)

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return len(self.content)


class _One(WriterFactory):
    """Gives the one writer, whatever the member's name: nothing is named after it."""

    def __init__(self, writer: _Beginning) -> None:
        self._writer = writer

    def create(self, filename: str) -> Py7zIO:
        return self._writer
