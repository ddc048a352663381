"""Writes an attribution file: author, licence and URL of each post of a corpus, one line per post."""

import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.post import shards
from corpora.post_columns import site_of
from stackbert.core.artifact import require_artifact
from stackbert.core.errors import StackbertError
from stackbert.core.place import require_file_place
from stackbert.core.printing import escape_markdown, markdown_lines, printable

MAX_TITLE = 200  # characters; a table may hold long texts in its title column
DEEDS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    **{name: f"https://spdx.org/licenses/{name}.html" for name in ("Apache-2.0", "BSD-3-Clause", "MIT", "PSF-2.0")},
}
NO_LICENSE = "no licence recorded"

_SHARE_ALIKE = re.compile(r"CC BY-SA ([1-4]\.[05])")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9./?&=%_~:+-]*")  # without characters that end a Markdown link
_FORMULA = re.compile("[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")  # and their wide forms, which spreadsheets evaluate, too

HEADER = """# Attribution

The {posts:,} posts of this corpus were written by the people named below and are theirs.

The CC BY-SA licences let anyone share and adapt such a post, also commercially, on these terms: name its author, link
to the post and to its licence, say if you changed it, and share adaptations under the same or a compatible licence.
These texts were changed: markup was removed, and white space was made regular. Whether a model or a figure made from
them is an adaptation, and what other rights apply, this file does not say: it is a list, not legal advice.

{table}
{missing}

"""


@dataclass(frozen=True)
class Entry:
    """A line of the list; fields have no control characters, and are empty if unknown."""

    id: str
    kind: str
    title: str
    author: str
    author_url: str
    license: str
    license_url: str
    url: str


@dataclass(frozen=True)
class Summary:
    """Counts of the listed posts."""

    posts: int
    licenses: dict[str, int]
    """Licence (or NO_LICENSE) -> number of posts, the most frequent first."""
    without: dict[str, int]
    """Posts without a licence, an author and an address."""

    def __str__(self) -> str:
        """Text for the terminal: the licences, and what is missing."""
        lines = [f"{count:>12,}  {printable(name)}" for name, count in self.licenses.items()]
        return "\n".join([f"{self.posts:,} posts", *lines, self.missing])

    @property
    def missing(self) -> str:
        """How many posts lack a licence, an author or an address, as a sentence."""
        missing = [f"{count:,} without {name}" for name, count in self.without.items() if count]
        if not missing:
            return "All posts have a licence, an author and an address."
        return f"Posts that cannot be attributed in full: {', '.join(missing)}."


def write_attribution(corpus: Path, out: Path) -> Summary:
    """List the posts of a corpus in a .md or .csv file, whole or not at all; memory stays at one batch.

    `corpus` is the output of 'corpora build'. Raises StackbertError for another file extension or folder.
    """
    require_artifact(corpus, "corpora build")
    writers: dict[str, Callable[[IO[str], Path, Summary], None]] = {".md": _write_markdown, ".csv": _write_csv}
    writer = writers.get(out.suffix.lower())
    if writer is None:
        raise StackbertError(f"{out}: the attribution file must end in .md or .csv, not in '{out.suffix}'")
    require_file_place(out, corpus)
    summary = _summarise(corpus)
    partial = out.with_name(out.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer(file, corpus, summary)
    os.replace(partial, out)
    return summary


def deed_url(license_name: str) -> str:
    """URL of a licence's text; empty for an unknown licence.

    >>> deed_url("CC BY-SA 4.0")
    'https://creativecommons.org/licenses/by-sa/4.0/'
    """
    version = _SHARE_ALIKE.fullmatch(license_name)
    return f"https://creativecommons.org/licenses/by-sa/{version[1]}/" if version else DEEDS.get(license_name, "")


def _summarise(corpus: Path) -> Summary:
    """The counts, from three columns; they precede the list."""
    licenses, without = Counter[str](), Counter[str]()
    for path in shards(corpus):
        for batch in pq.ParquetFile(path).iter_batches(columns=["license", "author", "url"]):
            for entry in pc.value_counts(batch["license"]).to_pylist():
                licenses[entry["values"] or NO_LICENSE] += entry["counts"]
            for name, column in (("author", "author"), ("address", "url")):
                without[name] += batch[column].null_count
    ordered = dict(sorted(licenses.items(), key=lambda item: (-item[1], item[0])))
    missing = {"licence": licenses[NO_LICENSE], "author": without["author"], "address": without["address"]}
    return Summary(licenses.total(), ordered, missing)


def _entries(corpus: Path) -> Iterator[Entry]:
    for path in shards(corpus):
        columns = ["id", "kind", "title", "license", "url", "author"]
        for batch in pq.ParquetFile(path).iter_batches(batch_size=10_000, columns=columns):
            for values in zip(*(batch[name].to_pylist() for name in columns), strict=True):
                post_id, kind, title, license_name, url, author = (printable(value or "") for value in values)
                url = url if _ADDRESS.fullmatch(url) else ""
                is_number = author.isascii() and author.isdecimal()  # else it is a name, which has no known URL
                yield Entry(
                    id=post_id,
                    kind=kind,
                    title=title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…",
                    author=f"user {author}" if is_number else author,
                    author_url=f"https://{site_of(url)}/users/{author}" if is_number and url else "",
                    license=license_name,
                    license_url=deed_url(license_name),
                    url=url,
                )


def _write_markdown(file: IO[str], corpus: Path, summary: Summary) -> None:
    rows = [[_link(printable(name), deed_url(name)), f"{count:,}"] for name, count in summary.licenses.items()]
    table = markdown_lines(["licence", "posts"], rows)
    file.write(HEADER.format(posts=summary.posts, table=table, missing=summary.missing))
    for entry in _entries(corpus):
        name = f"{entry.kind} {entry.id}: {entry.title}" if entry.title else f"{entry.kind} {entry.id}"
        author = _link(entry.author, entry.author_url) if entry.author else "author not recorded"
        license_link = _link(entry.license, entry.license_url) if entry.license else NO_LICENSE
        file.write(f"- {_link(name, entry.url)}, by {author}, {license_link}\n")


def _write_csv(file: IO[str], corpus: Path, summary: Summary) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Entry.__dataclass_fields__)
    for entry in _entries(corpus):
        writer.writerow([_as_text(value) for value in vars(entry).values()])


def _as_text(cell: str) -> str:
    """The cell, quoted if a spreadsheet would evaluate it as a formula."""
    return "'" + cell if _FORMULA.match(cell) else cell


def _link(text: str, url: str) -> str:
    return f"[{escape_markdown(text)}]({url})" if url else escape_markdown(text)
