"""Streams one member of a .7z archive: nothing is unpacked to disk, and memory stays at a few blocks."""

import lzma
import queue
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import py7zr
import py7zr.exceptions
import py7zr.py7zr as py7zr_worker
from py7zr.io import Py7zIO, WriterFactory

from stackbert.core.errors import StackbertError

QUEUED = 4  # unpacked blocks that wait for the reader
BLOCK_BYTES = 2 << 20
MAX_RATIO = 100
"""Posts grow 4 to 8 times when they are unpacked; an archive that grows more than this is a decompression bomb."""
POLL_SECONDS = 0.2

# Bytes that py7zr unpacks at a time; by default up to 128 MB of a text that compresses well.
py7zr_worker.get_memory_limit = lambda: BLOCK_BYTES  # type: ignore[attr-defined]

_DAMAGE = (
    py7zr.exceptions.ArchiveError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,  # this and those below: from checks in py7zr and the decompressors
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    OverflowError,
)


def stream_member(path: Path, member: str, max_ratio: float = MAX_RATIO) -> Iterator[bytes]:
    """Yield the content of a member in blocks of some MB; a second thread unpacks it.

    `member` is its name, which needs no folders if it is unique. Raises StackbertError if there is no such member, the
    archive needs a password or is damaged (checksums are checked at the end), or the content is more than `max_ratio`
    times as large as the archive.
    """
    name, size = find_member(path, member)
    limit = round(max_ratio * path.stat().st_size)
    if size > limit:
        raise StackbertError(
            f"{path}: {name} is declared to have {size:,} bytes, more than {max_ratio:g} times the archive's; no text "
            "compresses so well, so it is not unpacked"
        )
    pipe = _Pipe(size)
    thread = threading.Thread(target=_unpack, args=(path, name, pipe), daemon=True)
    thread.start()
    try:
        yield from pipe.blocks()
    finally:
        pipe.stop()
        thread.join()
    if pipe.error is not None:
        raise _damaged(path, pipe.error) from None
    if pipe.taken != size:
        raise StackbertError(f"{path}: {name} ends after {pipe.taken:,} of {size:,} bytes; get the archive again")


def find_member(path: Path, member: str) -> tuple[str, int]:
    """Full name and unpacked bytes of a member."""
    try:
        with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
            if archive.needs_password():
                raise StackbertError(f"{path}: needs a password; unpack it, and name the file inside")
            found = [
                (entry.filename, entry.uncompressed)
                for entry in archive.list()
                if entry.is_file and PurePosixPath(entry.filename).name == PurePosixPath(member).name
            ]
            names = [entry.filename for entry in archive.list()]
    except StackbertError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    exact = [entry for entry in found if entry[0] == member]
    if len(exact or found) == 1:
        name, size = (exact or found)[0]
        return name, int(size)
    listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    problem = "more than one" if found else "no"
    raise StackbertError(f"{path}: holds {problem} file '{member}'; it holds: {listed or 'nothing'}")


class _StoppedError(Exception):
    """The reader has stopped."""


class _Pipe(Py7zIO):
    """Passes what py7zr writes to the reading thread."""

    def __init__(self, size: int) -> None:
        self.error: BaseException | None = None
        self.taken = 0
        self._size = size
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUED)
        self._stopped = threading.Event()

    def blocks(self) -> Iterator[bytes]:
        while (block := self._queue.get()) is not None:
            yield block

    def stop(self) -> None:
        self._stopped.set()

    def end(self) -> None:
        self._put(None)

    def write(self, s: bytes | bytearray) -> int:
        self.taken += len(s)
        if self.taken > self._size:
            raise ValueError(f"more than the declared {self._size:,} bytes")
        view = memoryview(s)
        for start in range(0, len(s), BLOCK_BYTES):
            self._put(bytes(view[start : start + BLOCK_BYTES]))
        return len(s)

    def _put(self, block: bytes | None) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(block, timeout=POLL_SECONDS)
            except queue.Full:
                continue
        raise _StoppedError

    def read(self, size: int | None = None) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def flush(self) -> None:
        pass

    def size(self) -> int:
        return self._size


class _Factory(WriterFactory):
    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def create(self, filename: str) -> Any:
        return self._pipe


def _unpack(path: Path, name: str, pipe: _Pipe) -> None:
    """Write a member and the end mark to the pipe."""
    try:
        # from an open file: given a name, py7zr unpacks several members at once
        with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
            archive.extract(targets=[name], factory=_Factory(pipe))
    except _StoppedError:
        return
    except BaseException as error:  # the reading thread raises it
        pipe.error = error
    try:
        pipe.end()
    except _StoppedError:
        return


def _damaged(path: Path, error: BaseException) -> StackbertError:
    return StackbertError(
        f"{path}: is damaged or not a .7z archive that can be read ({type(error).__name__}: {error}); get it again"
    )
