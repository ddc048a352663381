"""One member of a .7z archive as a stream: nothing is unpacked to disk, and memory stays at a few blocks."""

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

QUEUED = 4  # blocks that wait for the reader
BLOCK_BYTES = 2 << 20
MAX_RATIO = 100
"""Posts become 4 to 8 times as long when they are unpacked; an archive that grows more than this is a bomb."""
POLL_SECONDS = 0.2

# What py7zr unpacks at a time, else up to 128 MB of a text that packs well.
py7zr_worker.get_memory_limit = lambda: BLOCK_BYTES

_DAMAGE = (
    py7zr.exceptions.ArchiveError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,  # of py7zr's and the decompressors' own checks, as the errors below
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
    """Yield the content of a member in blocks of some MB; it is unpacked in a thread beside the caller.

    `member` is its name, without folders where only one member has that name. Raises StackbertError where there is no
    such member, the archive is damaged (at the end at the latest: checksums come last) or locked, or its content is
    more than `max_ratio` times as large as the archive.
    """
    name, size = find_member(path, member)
    limit = round(max_ratio * path.stat().st_size)
    if size > limit:
        raise StackbertError(
            f"{path}: {name} says that it has {size:,} bytes, more than {max_ratio:g} times the archive's; no text "
            "packs so well, so it is not unpacked"
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
    """Name in the archive and unpacked bytes of a member."""
    try:
        with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
            if archive.needs_password():
                raise StackbertError(f"{path}: is locked with a password; unpack it, and name the file inside")
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
    """The reader wants no more."""


class _Pipe(Py7zIO):
    """Takes what py7zr writes, and gives it to another thread."""

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
            raise ValueError(f"more than the {self._size:,} bytes that it says it has")
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
    """Write a member to the pipe, and its end."""
    try:
        # from an open file, for from a name py7zr unpacks several members at once
        with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
            archive.extract(targets=[name], factory=_Factory(pipe))
    except _StoppedError:
        return
    except BaseException as error:  # handed to the reader's thread, which raises it
        pipe.error = error
    try:
        pipe.end()
    except _StoppedError:
        return


def _damaged(path: Path, error: BaseException) -> StackbertError:
    return StackbertError(
        f"{path}: is damaged or not a .7z archive that can be read ({type(error).__name__}: {error}); get it again"
    )
