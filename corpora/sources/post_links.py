"""Duplicate links from PostLinks.xml: which questions were closed as duplicates of which."""

import re
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpora.arrays import Indices
from corpora.sources.dump import dump_lines
from corpora.sources.dump_row import RowError, parse_row
from corpora.sources.lines import require_file
from stackbert.core.errors import StackbertError

DUPLICATE = "3"  # LinkTypeId; 1 is a link in a text
LINKS_FILE = "the dump's PostLinks.xml"

# A row as the dump writes it; any other row goes to the XML parser, which takes ten times as long.
_PLAIN = re.compile(
    rb'<row Id="[0-9]{1,18}" CreationDate="[0-9T:.-]*+" PostId="([0-9]{1,18})" RelatedPostId="([0-9]{1,18})" '
    rb'LinkTypeId="([0-9]{1,3})" ?/>'
)
_NUMBER = re.compile(r"[0-9]{1,18}")  # fits 64 bits


@dataclass(frozen=True, eq=False)
class Links:
    """Which questions were closed as duplicates of which."""

    questions_N: Indices
    """int64, ascending; a question is repeated for each of its targets. A link takes 16 bytes with its target."""
    targets_N: Indices
    """int64, ascending within each question."""
    bad_rows: int
    """Number of rows of the file that cannot be read."""

    def targets(self, question_id: str) -> tuple[str, ...]:
        """Ids of the questions that this one duplicates; none for an id that is not the site's."""
        if not _NUMBER.fullmatch(question_id):
            return ()
        first, last = (int(np.searchsorted(self.questions_N, int(question_id), side)) for side in ("left", "right"))
        return tuple(map(str, self.targets_N[first:last].tolist()))


def load_links(path: Path, max_rejected_share: float = 0.001) -> Links:
    """The duplicate links of a PostLinks.xml, read line by line as Posts.xml is.

    A row is bad unless PostId, RelatedPostId and LinkTypeId are numbers. Raises StackbertError if the share of bad rows
    exceeds `max_rejected_share`, as in another file, and for what content_lines refuses.
    """
    require_file(path, LINKS_FILE)
    questions, targets = array("q"), array("q")
    read, bad, first_bad = 0, 0, ""
    for offset, line in dump_lines(path):
        read += 1
        try:
            question, target, kind = _link(line)
        except RowError as error:
            bad += 1
            first_bad = first_bad or f"byte {offset}: {error}"
            continue
        if kind == DUPLICATE and question != target:
            questions.append(question)
            targets.append(target)
    if bad > max_rejected_share * read:
        raise StackbertError(
            f"{path}: {bad:,} of {read:,} rows are no links, more than the {max_rejected_share:.2%} allowed; "
            f"the first: {first_bad}. It should be {LINKS_FILE}"
        )
    return _sorted(np.frombuffer(questions, np.int64), np.frombuffer(targets, np.int64), bad)


def save_links(links: Links, folder: Path) -> Path:
    """Write links as two arrays that many processes can memory-map; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "questions.npy", links.questions_N)
    np.save(folder / "targets.npy", links.targets_N)
    return folder


def open_links(folder: Path) -> Links:
    """The links that save_links wrote, memory-mapped."""
    questions_N, targets_N = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("questions", "targets"))
    return Links(questions_N, targets_N, bad_rows=0)


def _link(line: bytes) -> tuple[int, int, str]:
    """Question, target and LinkTypeId of a row."""
    if plain := _PLAIN.fullmatch(line):
        return int(plain[1]), int(plain[2]), plain[3].decode()
    row = parse_row(line)
    numbers = [row.get(name, "") for name in ("PostId", "RelatedPostId", "LinkTypeId")]
    if not all(map(_NUMBER.fullmatch, numbers)):
        raise RowError("PostId, RelatedPostId and LinkTypeId should be numbers")
    return int(numbers[0]), int(numbers[1]), numbers[2]


def _sorted(questions_N: Indices, targets_N: Indices, bad_rows: int) -> Links:
    """The links sorted, without repetitions."""
    order_N = np.lexsort((targets_N, questions_N))
    questions_N, targets_N = questions_N[order_N], targets_N[order_N]
    is_new_N = np.ones(len(order_N), bool)
    is_new_N[1:] = (questions_N[1:] != questions_N[:-1]) | (targets_N[1:] != targets_N[:-1])
    return Links(questions_N[is_new_N], targets_N[is_new_N], bad_rows)
