"""Writes a large Posts.xml by repeating the rows of dumps, each copy with new ids and a changed text.

python -m tests.corpora.big_dump OUT.xml --megabytes 1000 [--rows 0] [--dumps ../shared/so/dumps]
"""

import argparse
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from corpora.sources.dump import dump_lines

_ID = re.compile(rb' (Id|ParentId)="([0-9]+)"')


def rows(dumps: Path) -> Iterator[bytes]:
    """Endless rows: those of all dumps, again and again with new ids and another first line."""
    real = [line for path in sorted(dumps.glob("*.xml")) for _, line in dump_lines(path) if line.startswith(b"<row ")]
    for copy in itertools.count(1):
        for row in real:
            numbered = _ID.sub(rb' \1="\g<2>%05d"' % copy, row)
            yield numbered.replace(b' Body="', b' Body="&lt;p&gt;copy %d&lt;/p&gt;&#xA;' % copy, 1)


def write(out: Path, dumps: Path, megabytes: float, count: int) -> tuple[int, int]:
    """Write `count` rows, or `megabytes` if it is 0; returns rows and bytes written."""
    written = number = 0
    with out.open("wb") as file:
        written += file.write(b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n<posts>\n')
        for number, row in enumerate(rows(dumps), 1):
            written += file.write(b"  " + row + b"\n")
            if number == count or (not count and written >= megabytes * 1e6):
                break
        file.write(b"</posts>\n")
    return number, written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--megabytes", type=float, default=1_000.0)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--dumps", type=Path, default=Path("../shared/so/dumps"))
    given = parser.parse_args()
    made = write(given.out, given.dumps, given.megabytes, given.rows)
    print(f"{given.out}: {made[0]:,} rows, {made[1] / 1e6:,.0f} MB")
