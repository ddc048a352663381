"""Where an output may be written: checked before any work, so that nothing is computed that cannot be kept."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from stackbert.core.errors import ArtifactError

MANIFEST = "manifest.json"
HOME_ADVICE = "'~' is not a folder but a shell's word for your home folder; write the path in full"


def staging_folder(out: Path) -> Path:
    """The folder in which `out` is made."""
    return out.with_name(out.name + ".partial")


def lock_file(out: Path) -> Path:
    """The file that the process that makes `out` locks."""
    return out.with_name(f".{out.name}.lock")


def require_folder_place(out: Path, *inputs: Path) -> None:
    """Raise ArtifactError unless `out` is a folder or can become one, and is apart from the inputs."""
    _require_name(out, "folder")
    entries = (out, staging_folder(out), lock_file(out))
    for entry in entries:
        _require_entry(entry)
    if not out.exists():
        _require_writable(out)
    elif not out.is_dir():
        raise ArtifactError(f"{out}: is a file; name a folder that does not exist yet")
    for path in inputs:
        _require_apart(out, entries, path)
    _require_outside_outputs(out)


def require_file_place(path: Path, *inputs: Path) -> None:
    """Raise ArtifactError unless a file can be written at `path`, outside of the inputs; one that is there is replaced.

    The folder that it will be in is made.
    """
    _require_name(path, "file")
    _require_entry(path)
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder; name a file in it")
    _require_writable(path)
    for each in inputs:
        _require_apart(path, [path], each)
    _require_outside_outputs(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def _require_name(path: Path, kind: str) -> None:
    """`path` names an entry of a folder."""
    if path.name in ("", ".."):
        shown = str(path) or "."
        raise ArtifactError(f"{shown}: cannot be the output, which is a new {kind}; name one, such as {path / 'out'}")
    if path.parts[0].startswith("~"):
        raise ArtifactError(f"{path}: {HOME_ADVICE}")


def _require_entry(path: Path) -> None:
    """`path` can be looked up, and is no link that leads nowhere."""
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except NotADirectoryError:
        return  # said with the part that is a file
    except ValueError:
        raise ArtifactError(f"{str(path)!r}: holds a NUL character, which no path can; write it without") from None
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; name another output") from None
    if path.is_symlink() and not path.exists():
        raise ArtifactError(
            f"{path}: is a link that leads nowhere ({os.readlink(path)}); remove it, or make what it points to"  # noqa: PTH115 - as it is written
        )


def _require_writable(path: Path) -> None:
    """The nearest folder above `path` that exists can be written to."""
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise ArtifactError(f"{path}: cannot be made, because {parent} is not a folder; name another output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ArtifactError(
            f"{path}: cannot be made, because {parent} cannot be written to; ask for the permission, or name another "
            "output"
        )


def _require_apart(out: Path, written: Iterable[Path], path: Path) -> None:
    """No entry that is written is the input, inside it, or around it."""
    source = Path(os.path.realpath(path))  # resolve() raises for links that form a circle
    for entry in map(Path, map(os.path.realpath, written)):
        if source == entry:
            raise ArtifactError(f"{out}: is the input {path} itself, or its place in the making; name another")
        if source in entry.parents and source.is_dir():
            raise ArtifactError(f"{out}: is inside the input {path}, which it would change; name a folder outside")
        if entry in source.parents:
            raise ArtifactError(f"{out}: holds the input {path}; name another output")


def _require_outside_outputs(out: Path) -> None:
    """No folder above `out` is the finished output of a stage, which would no longer be what its manifest says."""
    for folder in Path(os.path.realpath(out)).parents:
        if _is_output(folder):
            raise ArtifactError(f"{out}: is inside {folder}, a finished output, which it would change; name another")


def _is_output(folder: Path) -> bool:
    """Whether the folder has a manifest of a stage; web applications have a file of that name, too."""
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"stage", "identity"} <= found.keys()
