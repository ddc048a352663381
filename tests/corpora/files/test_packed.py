"""Packed files are read as what they hold; damaged and monstrous ones are refused."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from corpora.files import packed
from corpora.files.packed import open_unpacked, unpacked_name
from stackbert.core.errors import StackbertError
from tests.corpora.tables.made_tables import PACKERS, zipped

TEXT = "".join(f"{number},title {number}\n" for number in range(3_000)).encode()


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read(path: Path) -> bytes:
    with open_unpacked(path) as file:
        return file.read()


@pytest.mark.parametrize(("ending", "pack"), PACKERS.items())
def test_each_packer_is_undone_by_its_first_bytes_whatever_the_name(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    assert read(write(tmp_path, f"table.csv{ending}", pack(TEXT))) == TEXT
    assert read(write(tmp_path, "table.csv", pack(TEXT))) == TEXT


@pytest.mark.parametrize(("ending", "pack"), PACKERS.items())
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    content = pack(TEXT)
    with pytest.raises(StackbertError, match="it is damaged, get it again"):
        read(write(tmp_path, f"table.csv{ending}", content[: len(content) * 2 // 3]))


def test_members_that_are_packed_one_after_another_are_all_read(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.csv.gz", gzip.compress(TEXT) + gzip.compress(TEXT))) == TEXT + TEXT
    pack = PACKERS[".zst"]
    assert read(write(tmp_path, "a.csv.zst", pack(TEXT) + pack(TEXT))) == TEXT + TEXT


def test_a_file_that_grows_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.csv.gz", gzip.compress(bytes(3_000_000)))
    assert len(read(path)) == 3_000_000  # so little is never a danger
    monkeypatch.setattr(packed, "FREE_BYTES", 1_000_000)
    with pytest.raises(StackbertError, match="grows more than 200 times when it is unpacked"):
        read(path)


def test_a_file_is_named_after_what_it_holds(tmp_path: Path) -> None:
    assert unpacked_name(Path("a/b.CSV.gz")) == "b.CSV"
    assert unpacked_name(Path("a/b.csv")) == "b.csv"
    assert unpacked_name(write(tmp_path, "x.zip", zipped(b"a"))) == "table.csv"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv.gz", b"id,title\n", "is not packed as its ending .gz says"),
        ("a.csv", b"PAR1", "is Parquet; let its name end in .parquet"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook; save the sheet as 'CSV UTF-8'"),
        ("a.csv", b"SQLite format 3\0", "is an SQLite database; export the table"),
        ("a.csv", b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    ],
)
def test_other_kinds_of_files_are_refused_with_advice(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(StackbertError, match=message):
        read(write(tmp_path, name, content))


def archive(folder: Path, *names: str) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in names:
            target.writestr(name, b"id,title\n")
    return path


def test_hidden_files_in_a_zip_do_not_count(tmp_path: Path) -> None:
    assert read(archive(tmp_path, "x/a.csv", "__MACOSX/x/._a.csv", "x/.DS_Store")) == b"id,title\n"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a.csv", "b.csv"), r"holds 2 files \(a.csv, b.csv\), not one table; unpack it and name one"),
        ((), "holds 0 files"),
        (("[Content_Types].xml", "xl/workbook.xml"), "is a workbook or document; save the sheet as 'CSV UTF-8'"),
    ],
)
def test_a_zip_without_one_table_is_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(StackbertError, match=message):
        read(archive(tmp_path, *names))
