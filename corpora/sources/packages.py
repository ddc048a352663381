"""Reads the docstrings of installed Python packages: the default corpus, which needs no download.

Docstrings are read from the source files by `ast`; no package is imported. A post's tags are its package, the topics of
its module's name, and that name below the package. It is not included in the text, because it would reveal the tags.
"""

import ast
import importlib.util
import inspect
import platform
import re
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from itertools import chain, islice
from pathlib import Path

from corpora.cleaning.cleaning import clean_text, clean_title
from corpora.config import CorpusConfig
from corpora.raw_post import RawPost
from corpora.sources.package_topics import topics
from corpora.sources.source import Dropped, Outcome, Source, Stream, bad_row
from stackbert.core.errors import StackbertError, nearest_hint

STANDARD_LIBRARY = "stdlib"
# Import names. All are dependencies of this project, so every user has them.
DEFAULT_PACKAGES = (
    STANDARD_LIBRARY,
    *("numpy", "scipy", "pandas", "sklearn", "matplotlib", "pyarrow", "h5py", "joblib", "narwhals", "PIL", "fontTools"),
    *("tensorflow", "keras", "transformers", "datasets", "tokenizers", "huggingface_hub", "tensorboard"),
    *("requests", "werkzeug", "jinja2", "pydantic", "rich", "fsspec", "grpc", "absl", "tyro", "setuptools", "pip"),
)
TAG_OF_IMPORT = {"sklearn": "scikit-learn", "huggingface_hub": "huggingface-hub", "PIL": "pillow"}

SKIPPED_FOLDERS = frozenset(
    "test tests testing idle_test site-packages dist-packages __pycache__ _vendor vendored externals lib2to3 idlelib "
    "_api _tf_keras turtledemo ensurepip".split()
)
SKIPPED_FILES = re.compile(r"test_|.*_tests?\.py|conftest\.py|setup\.py|.*_pb2")
FILES_PER_PART = 1_500  # some 10 MB of docstrings
MIN_DOCSTRING = 80  # characters; shorter ones ("Return the name.") do not show the topic
MAX_TITLE = 200  # characters; a longer first paragraph is not a title


@dataclass(frozen=True)
class SourceFile:
    """A Python file of a package."""

    path: Path
    module: str
    """Dotted name; prefix of the posts' ids."""
    tag: str
    """The package's tag."""
    license: str | None


Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def packages_source(config: CorpusConfig) -> Source:
    """The docstrings of the configured packages; the manifest records their versions."""
    names = chosen_packages(config.packages)
    return Source(package_versions(names), parse_files, Stream(partial(_parts, names)))


def chosen_packages(names: tuple[str, ...]) -> tuple[str, ...]:
    """Import names of the packages to read; without `names`, the installed ones of DEFAULT_PACKAGES."""
    if not names:
        return tuple(name for name in DEFAULT_PACKAGES if _folder(name))
    chosen = tuple(dict.fromkeys(_import_name(name) for name in names))
    for asked, name in zip(names, map(_import_name, names), strict=True):
        if not _folder(name):
            hint = nearest_hint(asked, [STANDARD_LIBRARY, *metadata.packages_distributions()])
            raise StackbertError(f"package '{asked}' is not installed as a folder of Python files{hint}")
    return chosen


def package_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Import name -> version; for the standard library, Python's version."""
    return {
        name: platform.python_version() if name == STANDARD_LIBRARY else _metadata(name, "Version") or "unknown"
        for name in names
    }


def parse_files(files: Iterable[SourceFile]) -> Iterator[Outcome]:
    """One outcome for each docstring of the files."""
    return chain.from_iterable(map(_file_outcomes, files))


def _parts(names: tuple[str, ...]) -> Iterator[list[SourceFile]]:
    files = chain.from_iterable(map(_source_files, names))
    while part := list(islice(files, FILES_PER_PART)):
        yield part


def _source_files(name: str) -> Iterator[SourceFile]:
    """The package's files in the order of their names, without tests and vendored packages."""
    folder = _folder(name)
    assert folder is not None, f"{name} was chosen, so it has a folder"
    tag = TAG_OF_IMPORT.get(name, name.lower())
    license_name = "PSF-2.0" if name == STANDARD_LIBRARY else _license(name)
    for path in sorted(folder.rglob("*.py")):
        names = path.relative_to(folder).with_suffix("").parts
        if not SKIPPED_FOLDERS.intersection(names[:-1]) and not SKIPPED_FILES.match(path.name):
            names = names[:-1] if names[-1] == "__init__" else names
            yield SourceFile(path, ".".join((name, *names)), tag, license_name)


def _file_outcomes(file: SourceFile) -> Iterator[Outcome]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in the packages' strings
            tree = ast.parse(file.path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield bad_row(file.module, f"not Python that this version reads: {error}", "")
        return
    below = file.module.partition(".")[2].lower()
    tags = tuple(dict.fromkeys(filter(None, (file.tag, *topics(file.module), below))))
    uses: Counter[str] = Counter()
    for name, docstring in _docstrings(tree, file.module):
        uses[name] += 1
        post_id = name if uses[name] == 1 else f"{name}#{uses[name]}"
        title, text = split_docstring(docstring)
        if len(docstring) < MIN_DOCSTRING:
            yield Dropped("too_short", name)
        else:
            yield RawPost(id=post_id, kind="document", title=title, text=text, tags=tags, license=file.license)


def split_docstring(docstring: str) -> tuple[str, str]:
    """Title and text: the first paragraph (its first line if it is long), and the rest.

    >>> split_docstring("Solve a linear\\nsystem.\\n\\nUses LU.")
    ('Solve a linear system.', 'Uses LU.')
    """
    cleaned = clean_text(docstring)
    first, _, rest = cleaned.partition("\n\n")
    if len(first) > MAX_TITLE:
        first, _, rest = cleaned.partition("\n")
    return clean_title(first), rest.strip("\n")


def _docstrings(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """Dotted names and docstrings of a module and its definitions, in the order of the file."""
    waiting: list[tuple[ast.AST, str]] = [(tree, module)]
    while waiting:
        node, name = waiting.pop()
        if isinstance(node, Definition):
            name = name if isinstance(node, ast.Module) else f"{name}.{node.name}"
            docstring = ast.get_docstring(node, clean=False)
            if docstring:
                yield name, inspect.cleandoc(docstring)
        blocks = (getattr(node, field, ()) for field in ("body", "handlers", "orelse", "finalbody"))
        inner = [child for block in blocks if isinstance(block, list) for child in block]
        waiting += [(child, name) for child in reversed(inner)]


def _folder(name: str) -> Path | None:
    """The folder of a package, found without importing it."""
    if name == STANDARD_LIBRARY:
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _import_name(name: str) -> str:
    """The import name of a package, given its import name or its distribution name, such as scikit-learn."""
    if name == STANDARD_LIBRARY or _folder(name):
        return name
    wanted = _distribution_name(name)
    for import_name, distributions in _distributions().items():
        if wanted in map(_distribution_name, distributions) and _folder(import_name):
            return import_name
    return name


def _license(name: str) -> str | None:
    """The one-line licence in a package's metadata; None if the metadata has none or its full text."""
    for field in ("License-Expression", "License"):
        text = _metadata(name, field) or ""
        if text and len(text) <= MAX_TITLE and "\n" not in text:
            return text
    return None


def _metadata(import_name: str, field: str) -> str | None:
    distributions = sorted(set(_distributions().get(import_name, ())))
    values = metadata.metadata(distributions[0]).get_all(field) if distributions else None
    return values[0] if values else None


@cache
def _distributions() -> dict[str, list[str]]:
    """Import name -> names of the distributions that provide it."""
    return {name: list(distributions) for name, distributions in metadata.packages_distributions().items()}


def _distribution_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
