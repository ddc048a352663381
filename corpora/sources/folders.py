"""Reads a folder of text files, such as documentation, notes or tickets: each file becomes a document."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.lines import BYTE_ORDER_MARK
from corpora.sources.packages import split_docstring
from corpora.sources.source import Outcome, Source, Stream, bad_row
from stackbert.core.errors import StackbertError

TEXTS = frozenset((".txt", ".text", ".md", ".markdown", ".rst", ".adoc"))
PAGES = frozenset((".html", ".htm"))
MAX_FILE_BYTES = 16 << 20
"""A longer file is a table or a log, not a document."""
FILES_PER_PART = 2_000


def folder_source(path: Path, config: CorpusConfig) -> Source:
    """The text files below a folder; raises StackbertError if there is none."""
    if not path.is_dir():
        raise StackbertError(f"{path}: is not a folder; source 'folder' reads the text files in one")
    if next(_files(path), None) is None:
        raise StackbertError(f"{path}: holds no file that ends in {', '.join(sorted(TEXTS | PAGES))}")
    return Source({"source": path}, partial(parse_files, path), Stream(partial(_parts, path)))


def parse_files(folder: Path, files: Iterable[Path]) -> Iterator[Outcome]:
    """One outcome for each file: its id is the path below the folder, its title the first paragraph or line."""
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.stat().st_size > MAX_FILE_BYTES:
            yield bad_row(name, f"longer than {MAX_FILE_BYTES:,} bytes", "")
            continue
        content = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            yield bad_row(name, f"not UTF-8: {error}", content)
            continue
        if path.suffix.lower() in PAGES:
            yield RawPost(id=name, kind="document", title="", text=text, format="html")
        else:
            title, body = split_docstring(text)
            yield RawPost(id=name, kind="document", title=title.strip("# =*"), text=body)


def _files(folder: Path) -> Iterator[Path]:
    """The text files in the order of their paths, without hidden ones and symbolic links."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.suffix.lower() in TEXTS | PAGES:
            yield path


def _parts(folder: Path) -> Iterator[list[Path]]:
    part = list[Path]()
    for path in _files(folder):
        part.append(path)
        if len(part) == FILES_PER_PART:
            yield part
            part = []
    if part:
        yield part
