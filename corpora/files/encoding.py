"""Finds the encoding of a text file: UTF-8, UTF-16 with its mark, or the Western European one of older exports."""

import codecs
import io
import re
from pathlib import Path

from corpora.files.packed import open_unpacked
from stackbert.core.errors import StackbertError

SAMPLE_BYTES = 16 << 20
MIN_BROKEN = 20  # bytes that are not UTF-8; fewer are damage, unless they are letters that Western languages use
# Damaged UTF-8 still has more non-ASCII characters than broken bytes; Windows-1252 read as UTF-8 has hardly any.
BROKEN_PER_CHARACTER = 9
NUL_SHARE = 0.2  # UTF-16 of Western text has half of its bytes 0
FOREIGN_SHARE = 0.1  # of broken bytes in places where Western European text has none

BROKEN_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that could not be decoded, in a text of open_text."""

UTF_8, UTF_16, WESTERN = "utf-8-sig", "utf-16", "cp1252"
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: UTF_8,
    codecs.BOM_UTF16_LE: UTF_16,
    codecs.BOM_UTF16_BE: UTF_16,
}
_NAMES = {UTF_8: "UTF-8", UTF_16: "UTF-16", WESTERN: "Windows-1252"}

_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_AROUND = re.compile(rb"[A-Za-z]?[\x80-\xff]+[A-Za-z]?")
# In Windows-1252: letters, and what stands in Western text, without rare signs.
_LETTER = rb"A-Za-z\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xff"
_ACCENTED = rb"\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xff"
_COMMON = re.compile(
    rb"[\x80\x82\x84\x85\x8a\x8c\x8e\x91-\x97\x99\x9a\x9c\x9e\xa0-\xcf\xd1-\xd6\xd8-\xdc\xdf-\xef\xf1-\xf6\xf8-\xfc]+"
)
# What other encodings look like when they are read as Windows-1252.
_FOREIGN = re.compile(
    rb"(?<=[%(letter)b])[\x80-\x84\x86-\x89\x8b\x9b\x91\x93\x94\xa1-\xac\xae-\xb6\xb8-\xbf\xd7\xf7]+(?=[%(letter)b])"
    rb"|(?<=[%(letter)b])\x84"  # a quote that begins a word
    rb"|[\x81-\x83\x86-\x88\x8d\x8f\x90\x98\x9d]"  # rare and unassigned
    rb"|[%(accented)b]{4,}|(?<![%(letter)b])[%(accented)b]{2,}(?![%(letter)b])"  # words of accented letters alone
    rb"|[\x8a\x8e\x9a\x9e\xd0\xde\xf0\xfe]" % {b"letter": _LETTER, b"accented": _ACCENTED}  # Czech, Turkish
)


def encoding_of(path: Path, named: str = "auto") -> str:
    """Python's name for the encoding of a file: the named one, or that of its first 16 MB.

    UTF-8 with a few broken bytes stays UTF-8, and the rows with these bytes are bad rows. Raises StackbertError for an
    unknown name, for one that the file's mark contradicts, and for an encoding that must be named.
    """
    with open_unpacked(path) as file:
        sample = file.read(SAMPLE_BYTES)
    marked = next((name for mark, name in _MARKS.items() if sample.startswith(mark)), None)
    if named != "auto":
        return _named(path, named, marked)
    if marked:
        return marked
    if sample[:4096].count(0) > NUL_SHARE * len(sample[:4096]):
        raise StackbertError(f"{path}: holds NUL bytes, as UTF-16 without a mark; name its encoding, such as utf-16-le")
    return _guess(path, sample)


def open_text(path: Path, encoding: str, newline: str = "\n") -> io.TextIOWrapper:
    """Open a file, unpacked, as text; bytes that cannot be decoded become lone surrogates where the codec can."""
    return io.TextIOWrapper(open_unpacked(path), encoding, errors="surrogateescape", newline=newline)


def encoding_title(encoding: str) -> str:
    """The name by which people know an encoding."""
    return _NAMES.get(encoding, encoding)


def codec_name(named: str) -> str:
    """Python's name for the encoding; raises StackbertError if it has none."""
    try:
        name = codecs.lookup(named).name
        "".encode(name)
    except (LookupError, UnicodeError, TypeError):
        raise StackbertError(
            f"encoding {named!r} is unknown; name one as Python does: utf-8, utf-16-le, cp1251, gb18030, shift_jis"
        ) from None
    return name


def _named(path: Path, named: str, marked: str | None) -> str:
    name = codec_name(named)
    if marked and not codecs.lookup(marked).name.startswith(name[:6]):
        raise StackbertError(f"{path}: begins with the mark of {encoding_title(marked)}, so it is not in {named}")
    return marked or name


def _guess(path: Path, sample: bytes) -> str:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # the sample may end within a character
        return UTF_8
    except UnicodeDecodeError:
        runs = _NOT_ASCII.findall(sample)
    text = b" ".join(runs).decode("utf-8", "surrogateescape")
    broken = len(BROKEN_BYTE.findall(text))
    characters = len(text) - broken - len(runs) + 1  # without the spaces between the runs
    if broken <= BROKEN_PER_CHARACTER * characters:
        return UTF_8
    words = b" ".join(_AROUND.findall(sample))
    foreign = sum(len(found[0]) for found in _FOREIGN.finditer(words))
    if broken < MIN_BROKEN:
        is_usual = not characters and not foreign and all(_COMMON.fullmatch(run) for run in runs)
        return WESTERN if is_usual else UTF_8
    if foreign > FOREIGN_SHARE * broken:
        raise StackbertError(
            f"{path}: is neither UTF-8 nor Western European (Windows-1252); name its encoding, such as cp1250, cp1251, "
            "gb18030 or shift_jis"
        )
    return WESTERN
