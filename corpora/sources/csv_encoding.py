"""The encoding of a CSV, told by its bytes: UTF-8, or the Western European one that older exports are in."""

import re
import sys
from pathlib import Path

SAMPLE_BYTES = 16 * 2**20
ENOUGH_TO_JUDGE = 20  # broken bytes; fewer are damage
BROKEN_PER_CHARACTER = 9  # damaged UTF-8 still holds more characters than broken bytes; Windows-1252 hardly any

_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_BROKEN = re.compile("[\udc80-\udcff]")


def csv_encoding(path: Path) -> str:
    """Python's name for the encoding of a CSV, judged by its first 16 MB; says so on stderr where it is not UTF-8.

    StackSample, for one, is in Latin-1, which Windows-1252 holds. A file of UTF-8 with some broken bytes stays UTF-8.
    """
    with path.open("rb") as file:
        runs = _NOT_ASCII.findall(file.read(SAMPLE_BYTES))
    text = b" ".join(runs).decode("utf-8", "surrogateescape")
    broken = len(_BROKEN.findall(text))
    characters = len(text) - broken - max(len(runs) - 1, 0)  # the spaces between the runs
    if broken < ENOUGH_TO_JUDGE or broken <= BROKEN_PER_CHARACTER * characters:
        return "utf-8-sig"
    print(f"{path}: is not UTF-8; read as Windows-1252, which holds Latin-1 (iconv converts others)", file=sys.stderr)
    return "cp1252"
