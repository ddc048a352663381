"""Reads a folder of text files, such as documentation, notes or tickets: each file becomes a document."""

import codecs
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from corpora.config import CorpusConfig
from corpora.files.encoding import codec_name
from corpora.raw_post import RawPost
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
    if config.encoding != "auto":
        codec_name(config.encoding)
    return Source({"source": path}, partial(parse_files, path, config.encoding), Stream(partial(_parts, path)))


def parse_files(folder: Path, encoding: str, files: Iterable[Path]) -> Iterator[Outcome]:
    """One outcome for each file: its id is the path below the folder, its title the first paragraph or line."""
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.stat().st_size > MAX_FILE_BYTES:
            yield bad_row(name, f"longer than {MAX_FILE_BYTES:,} bytes", "")
            continue
        content = path.read_bytes()
        text = _decoded(content, encoding)
        if text is None:
            named = "UTF-8" if encoding == "auto" else f"UTF-8 nor {encoding}"
            yield bad_row(name, f"not {named}; name its encoding, or convert it to UTF-8 (iconv)", content)
            continue
        if path.suffix.lower() in PAGES:
            yield RawPost(id=name, kind="document", title="", text=text, format="html")
        else:
            title, body = split_docstring(text)
            yield RawPost(id=name, kind="document", title=title.strip("# =*"), text=body)


def _decoded(content: bytes, named: str) -> str | None:
    """The text of a file: in the encoding of its mark, in UTF-8, or in the named one; None if it is in none."""
    first = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    is_named_only = b"\0" in content and named != "auto" and first != "utf-16"  # UTF-16 without a mark is valid UTF-8
    for encoding in [named] if is_named_only else [first, *([named] if named != "auto" else [])]:
        with suppress(UnicodeError):
            return content.decode(encoding)
    return None


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
