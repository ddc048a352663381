"""Opens files that may be packed with gzip, bzip2, xz, zstd or zip; a truncated or monstrous one is refused."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import pyarrow as pa

from stackbert.core.errors import StackbertError

PACKED_ENDINGS = frozenset((".gz", ".bz2", ".xz", ".zst", ".zip"))
HEAD_BYTES = 8  # enough for each of the marks below
MAX_RATIO = 200  # text is packed 4 to 20 times, rows that repeat some 100 times
FREE_BYTES = 256 << 20  # unpacked before the ratio is looked at
_BUFFER_BYTES = 1 << 18
_DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, pa.ArrowException, RuntimeError)

_ZIP, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_OPENERS: dict[bytes, Callable[[Path], IO[bytes]]] = {
    b"\x1f\x8b": lambda path: cast(IO[bytes], gzip.open(path)),
    b"BZh": lambda path: cast(IO[bytes], bz2.open(path)),
    b"\xfd7zXZ\x00": lambda path: cast(IO[bytes], lzma.open(path)),
    b"\x28\xb5\x2f\xfd": lambda path: cast(IO[bytes], pa.input_stream(str(path), compression="zstd")),
    _ZIP: lambda path: zipfile.ZipFile(path).open(_member(path)),
    _EMPTY_ZIP: lambda path: zipfile.ZipFile(path).open(_member(path)),
}

_OTHERS = {
    b"PAR1": "is Parquet; let its name end in .parquet",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook; save the sheet as 'CSV UTF-8' and name that file",
    b"SQLite f": "is an SQLite database; export the table: sqlite3 -header -csv FILE 'select * from TABLE' > table.csv",
    b"7z\xbc\xaf": "is a 7z archive; unpack it and name the file inside",
    b"ARROW1": "is an Arrow file; write it as Parquet",
    b"%PDF": "is a PDF; tables are CSV, TSV, JSON or Parquet",
}


def unpacked_name(path: Path) -> str:
    """Name of the file without the packing: 'a.csv' for 'a.csv.gz'; for a zip, the name of the table in it."""
    if path.suffix.lower() == ".zip" or (path.is_file() and _head(path).startswith(_ZIP)):
        return PurePosixPath(_member(path)).name
    return path.stem if path.suffix.lower() in PACKED_ENDINGS else path.name


def open_unpacked(path: Path) -> io.BufferedReader:
    """Open a file for reading, unpacked as its first bytes demand, whatever its ending.

    Raises StackbertError for a file that is no text; damage is found, and refused, while it is read.
    """
    head = _head(path)
    for mark, advice in _OTHERS.items():
        if head.startswith(mark):
            raise StackbertError(f"{path}: {advice}")
    opener = next((opener for mark, opener in _OPENERS.items() if head.startswith(mark)), None)
    if opener is not None:
        return io.BufferedReader(_Unpacked(path, opener), _BUFFER_BYTES)
    if path.suffix.lower() in PACKED_ENDINGS:
        raise StackbertError(f"{path}: is not packed as its ending {path.suffix} says, or damaged; get it again")
    return io.BufferedReader(path.open("rb", buffering=0), _BUFFER_BYTES)


class _Unpacked(io.RawIOBase):
    """The unpacked content; raises StackbertError where it is damaged, or grows too much."""

    def __init__(self, path: Path, opener: Callable[[Path], IO[bytes]]) -> None:
        super().__init__()
        self._path, self._count = path, 0
        self._limit = max(FREE_BYTES, MAX_RATIO * path.stat().st_size)
        self._file = self._guarded(lambda: opener(path))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read unpacked bytes into `buffer`; returns how many."""
        block = self._guarded(lambda: self._file.read(len(buffer)))
        self._count += len(block)
        if self._count > self._limit:
            raise StackbertError(
                f"{self._path}: grows more than {MAX_RATIO} times when it is unpacked, as no text does; "
                "unpack it yourself if you trust it"
            )
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Close the packed file."""
        if hasattr(self, "_file"):
            self._file.close()
        super().close()

    def _guarded(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except _DAMAGE as error:
            raise StackbertError(f"{self._path}: cannot be unpacked: {error}; it is damaged, get it again") from None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _member(path: Path) -> str:
    """The only file in a zip, other than hidden ones."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            locked = any(info.flag_bits & 1 for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise StackbertError(f"{path}: cannot be read as zip: {error}; it is damaged, get it again") from None
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise StackbertError(f"{path}: is a workbook or document; save the sheet as 'CSV UTF-8' and name that file")
    if locked:
        raise StackbertError(f"{path}: needs a password; unpack it and name the file inside")
    visible = [name for name in names if not name.startswith("__MACOSX/") and PurePosixPath(name).name[0] != "."]
    if len(visible) != 1:
        listed = ", ".join(visible[:5]) + (", ..." if len(visible) > 5 else "")
        raise StackbertError(f"{path}: holds {len(visible)} files ({listed}), not one table; unpack it and name one")
    return visible[0]
