"""An output folder: appears whole or not at all, says from what it was made, and is not made twice."""

import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from stackbert.core.errors import StackbertError

MANIFEST = "manifest.json"
REQUEST = "request.json"
SCRATCH = "scratch"
"""Folder in a staging folder for what is needed until the end and not after, such as a run's saved state."""
RECORDED_VERSIONS = (
    "stackbert",
    "numpy",
    "pyarrow",
    "tokenizers",
    "transformers",
    "sentencepiece",
    "scikit-learn",
    "tensorflow",
    "tensorflow-cpu",
    "tensorflow-tpu",
)


class ArtifactError(StackbertError):
    """An output folder is damaged, made otherwise than asked for, or being written by another process."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a finished folder was made from, and what it holds."""

    folder: Path
    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]
    """Name -> identity (sha256) of what was read, or a version where the input is installed software."""
    files: dict[str, dict[str, Any]]
    """Relative path -> {"bytes", "sha256"}."""
    counts: dict[str, Any]
    versions: dict[str, str]
    seconds: float

    @property
    def identity(self) -> str:
        """sha256 over what the folder is, leaving out when and how fast it was made."""
        return _digest({"stage": self.stage, "config": self.config, "inputs": self.inputs, "files": self.files})


def build_artifact(
    out: Path,
    stage: str,
    config: Any,
    inputs: Mapping[str, Path | str],
    work: Callable[[Path], dict[str, Any]],
    *,
    resumable: bool = False,
) -> Manifest:
    """Run `work(staging folder)` and rename the folder to `out`, unless `out` is already that very artifact.

    `config` is the stage's dataclass. `inputs` maps names to folders, files or version strings. `work` returns the
    counts that the manifest records. With `resumable`, a staging folder left by a stopped run of the same request is
    handed to `work` again as it was; otherwise it is emptied.

    Raises ArtifactError where `out` holds something else, or another process is writing it.
    """
    request = _request(stage, config, inputs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        if out.exists():
            found = load_manifest(out)
            _refuse_other(found_request(found), request, out, "was made")
            return found
        staging = out.with_name(out.name + ".partial")
        _prepare(staging, request, resumable)
        start = time.monotonic()
        with _full_disk_explained(staging):
            counts = work(staging)
            manifest = Manifest(
                folder=out,
                files={name: _describe(staging / name) for name in _file_names(staging)},
                counts=counts,
                versions=versions(),
                seconds=round(time.monotonic() - start, 3),
                **request,
            )
            fields = dataclasses.asdict(manifest) | {"identity": manifest.identity}
            del fields["folder"]
            write_json(staging / MANIFEST, fields)
        staging.rename(out)
        for leftover in (out / REQUEST, out / SCRATCH):
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    return manifest


def finished_artifact(out: Path, stage: str, config: Any, inputs: Mapping[str, Path | str]) -> Manifest | None:
    """The manifest of `out` where it is that very artifact, None where it is not there.

    For a process that helps to make it, while another writes it. Raises ArtifactError where `out` holds something else.
    """
    if not out.exists():
        return None
    found = load_manifest(out)
    _refuse_other(found_request(found), _request(stage, config, inputs), out, "was made")
    return found


def load_manifest(folder: Path) -> Manifest:
    """Read `folder`'s manifest; raises ArtifactError where it is missing or cannot be read."""
    path = folder / MANIFEST
    try:
        fields = json.loads(path.read_text("utf-8"))
        fields.pop("identity")
        return Manifest(folder=folder, **fields)
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder}: no {MANIFEST}, so this is not a finished output of stackbert; name another folder, or remove it"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); remove {folder} to make it again") from None


def require_artifact(folder: Path, *stages: str) -> Manifest:
    """The manifest of an input folder, checked to come from one of `stages`."""
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: no such folder; it should be the output of {_or(stages)}")
    manifest = load_manifest(folder)
    if manifest.stage not in stages:
        raise ArtifactError(f"{folder}: holds the output of '{manifest.stage}', not of {_or(stages)}")
    return manifest


def identify(path: Path) -> str:
    """sha256 that names a file's or folder's content; a folder with a manifest is checked against it byte by byte."""
    if path.is_file():
        return _describe(path)["sha256"]
    if not path.is_dir():
        raise ArtifactError(f"{path}: no such file or folder")
    files = {name: _describe(path / name) for name in _file_names(path)}
    if not (path / MANIFEST).exists():
        return _digest(files)
    manifest = load_manifest(path)
    changed = sorted(
        name for name in manifest.files.keys() | files.keys() if manifest.files.get(name) != files.get(name)
    )
    if changed:
        raise ArtifactError(
            f"{path}: changed since it was made: {', '.join(changed[:5])}; remove the folder and run again"
        )
    return manifest.identity


def write_json(path: Path, value: Any) -> None:
    """Write indented UTF-8 JSON, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    os.replace(partial, path)


def found_request(manifest: Manifest) -> dict[str, Any]:
    """The part of a manifest that a rerun must match."""
    return {"stage": manifest.stage, "config": manifest.config, "inputs": manifest.inputs}


def differences(found: Any, asked: Any, where: str = "") -> list[str]:
    """Dotted paths at which two JSON values differ, each with both values."""
    if isinstance(found, dict) and isinstance(asked, dict):
        names = list(found) + [name for name in asked if name not in found]
        return [
            line
            for name in names
            for line in differences(found.get(name), asked.get(name), f"{where}.{name}" if where else name)
        ]
    return [] if found == asked else [f"{where}: {found!r} -> {asked!r}"]


def _request(stage: str, config: Any, inputs: Mapping[str, Path | str]) -> dict[str, Any]:
    """What is asked for; files and folders by their content."""
    identities = {name: identify(value) if isinstance(value, Path) else value for name, value in inputs.items()}
    return {"stage": stage, "config": _plain(config), "inputs": identities}


def _prepare(staging: Path, request: dict[str, Any], resumable: bool) -> None:
    """Leave `staging` empty but for the request, or, where `resumable`, as the same request left it.

    What holds a request and nothing else was refused before it began, and stands in no other's way.
    """
    if staging.exists() and not (resumable and (staging / REQUEST).exists() and len(list(staging.iterdir())) > 1):
        shutil.rmtree(staging)
    if (staging / REQUEST).exists():
        found = json.loads((staging / REQUEST).read_text("utf-8"))
        _refuse_other(found, request, staging, "was begun")
    staging.mkdir(exist_ok=True)
    write_json(staging / REQUEST, request)


def _refuse_other(found: dict[str, Any], asked: dict[str, Any], folder: Path, verb: str) -> None:
    lines = differences(found, asked)
    if lines:
        raise ArtifactError(
            f"{folder}: {verb} otherwise than asked for now (there -> asked):\n  "
            + "\n  ".join(lines)
            + f"\nUse another output folder, or remove this one to make it again: rm -r {folder}"
        )


@contextmanager
def _full_disk_explained(staging: Path) -> Iterator[None]:
    """Say of a full disk where it is, and how much is there."""
    try:
        yield
    except Exception as error:  # libraries wrap the system's error, each in its own
        if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT) and "No space left" not in str(error):
            raise
        written = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
        free = shutil.disk_usage(staging).free
        raise ArtifactError(
            f"{staging}: the disk is full: {written:,} bytes were written, {free:,} are free ({error}). Make room, or "
            "name a folder on another disk; the same command then goes on from what is finished"
        ) from None


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold `out` for this process; the kernel lets go of the lock when the process ends, however it ends."""
    path = out.with_name(f".{out.name}.lock")
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ArtifactError(
                f"{out}: is being written by {lock.read().strip() or 'another process'}; wait for it"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        yield


def _plain(value: Any) -> Any:
    """A configuration as JSON would give it back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _file_names(folder: Path) -> list[str]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    own = (MANIFEST, REQUEST, SCRATCH)
    return sorted(name.as_posix() for name in names if name.parts[0] not in own)


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _or(names: Iterable[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def versions() -> dict[str, str]:
    """Of Python and of the packages that results can depend on."""
    found = {"python": platform.python_version()}
    for name in RECORDED_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
