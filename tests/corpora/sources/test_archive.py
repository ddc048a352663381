"""Members of .7z archives: as published, damaged, and hostile."""

import io
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

py7zr = pytest.importorskip("py7zr")

from corpora.sources.archive import find_member, stream_member  # noqa: E402
from stackbert.core.errors import StackbertError  # noqa: E402

CHOSEN = random.Random(0)
CONTENT = b"".join(b'<row Id="%d" Body="%s" />\n' % (n, CHOSEN.randbytes(20).hex().encode()) for n in range(3_000))
FILTERS = {
    "lzma": {"id": py7zr.FILTER_LZMA, "preset": 1},
    "lzma2": {"id": py7zr.FILTER_LZMA2, "preset": 1},
    "bzip2": {"id": py7zr.FILTER_BZIP2},
    "ppmd": {"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24},
    "copy": {"id": py7zr.FILTER_COPY},
}


def write(path: Path, files: dict[str, bytes], method: str = "lzma2") -> Path:
    with py7zr.SevenZipFile(path, "w", filters=[FILTERS[method]]) as archive:
        for name, content in files.items():
            archive.writef(io.BytesIO(content), name)
    return path


@pytest.mark.parametrize("method", FILTERS)
def test_a_member_is_read_whole_for_each_method_and_position(tmp_path: Path, method: str) -> None:
    path = write(tmp_path / "a.7z", {"Badges.xml": b"b" * 70_000, "Posts.xml": CONTENT, "Users.xml": b"u"}, method)
    assert b"".join(stream_member(path, "Posts.xml")) == CONTENT
    assert find_member(path, "Posts.xml") == ("Posts.xml", len(CONTENT))
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.7z"}


def test_a_member_is_found_by_full_name_or_unique_file_name(tmp_path: Path) -> None:
    files = {"Posts.xml.bak": b"1", "OldPosts.xml": b"2", "dump/Posts.xml": CONTENT}
    path = write(tmp_path / "a.7z", files)
    assert b"".join(stream_member(path, "Posts.xml")) == CONTENT
    both = write(tmp_path / "b.7z", {"x/Posts.xml": b"1", "y/Posts.xml": b"2"})
    with pytest.raises(StackbertError, match=r"more than one file 'Posts.xml'; it holds: x/Posts.xml, y/Posts.xml"):
        list(stream_member(both, "Posts.xml"))
    with pytest.raises(StackbertError, match=r"holds no file 'Posts.xml'; it holds: Users.xml"):
        list(stream_member(write(tmp_path / "c.7z", {"Users.xml": b"1"}), "Posts.xml"))


def outcome(path: Path) -> str:
    try:
        return "whole" if b"".join(stream_member(path, "Posts.xml")) == CONTENT else "wrong"
    except StackbertError as error:
        return "refused" if str(path) in str(error) else "wrong"


@pytest.mark.filterwarnings("ignore")  # of py7zr, over what is damaged
def test_a_damaged_archive_is_refused_or_read_whole(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.7z", {"Posts.xml": CONTENT}).read_bytes()
    path, found = tmp_path / "a.7z", {"cut": {}, "flipped": {}}
    for number in range(100):
        path.write_bytes(whole[: CHOSEN.randrange(len(whole))])
        found["cut"].setdefault(outcome(path), []).append(number)
        damaged = bytearray(whole)
        damaged[CHOSEN.randrange(len(whole))] ^= 1 << CHOSEN.randrange(8)
        path.write_bytes(damaged)
        found["flipped"].setdefault(outcome(path), []).append(number)
    counts = {kind: {name: len(numbers) for name, numbers in by.items()} for kind, by in found.items()}
    print(f"100 archives cut short, 100 with a flipped bit: {counts}")
    assert counts["cut"] == {"refused": 100}
    assert counts["flipped"].get("refused", 0) >= 95 and "wrong" not in counts["flipped"]
    assert {entry.name for entry in tmp_path.iterdir()} == {"whole.7z", "a.7z"}


def test_a_bomb_is_refused_unread_and_an_allowed_one_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 MB of zeros in some 30 kB."""
    path = tmp_path / "bomb.7z"
    with py7zr.SevenZipFile(path, "w", filters=[FILTERS["lzma2"]]) as archive:
        archive.writef(io.BytesIO(bytes(200_000_000)), "Posts.xml")
    ratio = 200_000_000 / path.stat().st_size
    assert ratio > 6_000
    monkeypatch.setattr("corpora.sources.archive._unpack", lambda *_: pytest.fail("nothing may be unpacked"))
    with pytest.raises(StackbertError, match=r"200,000,000 bytes, more than 100 times"):
        list(stream_member(path, "Posts.xml"))
    code = (
        "import resource, sys; from pathlib import Path; from corpora.sources.archive import stream_member\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); size = sum(map(len, stream_member(Path(sys.argv[1]), 'Posts.xml', 1e9)))\n"
        "print(size, (peak() - before) // 1000)"
    )
    result = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    size, megabytes = map(int, result.stdout.split())
    print(f"unpacked on request: {size:,} bytes, {megabytes} MB more memory")
    assert size == 200_000_000 and megabytes < 60


def test_closing_the_stream_ends_the_thread(tmp_path: Path) -> None:
    path = write(tmp_path / "a.7z", {"Posts.xml": CHOSEN.randbytes(30_000_000)}, "copy")
    threads = threading.active_count()
    blocks = stream_member(path, "Posts.xml")
    assert next(blocks)
    assert threading.active_count() > threads
    blocks.close()  # type: ignore[attr-defined]
    assert threading.active_count() == threads


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", password="secret") as archive:  # noqa: S106
        archive.writef(io.BytesIO(CONTENT), "Posts.xml")
    with pytest.raises(StackbertError, match="needs a password"):
        list(stream_member(tmp_path / "a.7z", "Posts.xml"))
