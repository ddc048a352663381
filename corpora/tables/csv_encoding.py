"""Detects the encoding of a CSV: UTF-8, or the Western European one of older exports."""

import re
import sys
from pathlib import Path

SAMPLE_BYTES = 16 * 2**20
MIN_BROKEN = 20  # bytes that are not UTF-8; fewer are damage, not another encoding
# Damaged UTF-8 still has more non-ASCII characters than broken bytes; Windows-1252 read as UTF-8 has hardly any.
BROKEN_PER_CHARACTER = 9

_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_BROKEN = re.compile("[\udc80-\udcff]")


def csv_encoding(path: Path) -> str:
    """Python's name for the encoding of a CSV, from its first 16 MB; prints a note on stderr if it is not UTF-8.

    StackSample, for example, is in Latin-1, a subset of Windows-1252. UTF-8 with a few broken bytes stays UTF-8.
    """
    with path.open("rb") as file:
        runs = _NOT_ASCII.findall(file.read(SAMPLE_BYTES))
    text = b" ".join(runs).decode("utf-8", "surrogateescape")
    broken = len(_BROKEN.findall(text))
    characters = len(text) - broken - max(len(runs) - 1, 0)  # the spaces between the runs
    if broken < MIN_BROKEN or broken <= BROKEN_PER_CHARACTER * characters:
        return "utf-8-sig"
    print(f"{path}: is not UTF-8; read as Windows-1252, which holds Latin-1 (iconv converts others)", file=sys.stderr)
    return "cp1252"
