"""Atomic stage outputs with a manifest; finished stages are skipped.

A stage writes to a staging folder, which is renamed on success. The manifest records configuration, inputs and files.
"""

import dataclasses
import errno
import fcntl
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
from stackbert.core.hashing import file_sha256, json_sha256

MANIFEST = "manifest.json"
REQUEST = "request.json"
SCRATCH = "scratch"
"""Folder in a staging folder for files that are deleted on success, such as the saved state of a training run."""
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
    """An output folder is damaged, has another configuration or inputs, or is being written by another process."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Configuration, inputs and content of a finished output folder."""

    folder: Path
    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]
    """Name -> identity (sha256) of the input, or its version if it is installed software."""
    files: dict[str, dict[str, Any]]
    """Relative path -> {"bytes", "sha256"}."""
    counts: dict[str, Any]
    versions: dict[str, str]
    seconds: float

    @property
    def identity(self) -> str:
        """sha256 of stage, configuration, inputs and files; versions and times are not included."""
        return json_sha256({"stage": self.stage, "config": self.config, "inputs": self.inputs, "files": self.files})


def build_artifact(
    out: Path,
    stage: str,
    config: Any,
    inputs: Mapping[str, Path | str],
    work: Callable[[Path], dict[str, Any]],
    *,
    resumable: bool = False,
) -> Manifest:
    """Run `work(staging folder)` and rename the folder to `out`, unless `out` already is the requested artifact.

    `config` is the stage's dataclass. `inputs` maps names to folders, files or version strings. `work` returns the
    counts that the manifest records. With `resumable`, `work` gets the staging folder as an interrupted run of the same
    request left it; otherwise the folder is emptied.

    Raises ArtifactError if `out` holds something else, or another process is writing it.
    """
    request = _request(stage, config, inputs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        if out.exists():
            return _load_requested(out, request)
        staging = out.with_name(out.name + ".partial")
        _prepare(staging, request, resumable)
        with _full_disk_explained(staging):
            manifest = _work_and_describe(work, staging, out, request)
        staging.rename(out)
        for leftover in (out / REQUEST, out / SCRATCH):
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    return manifest


def _work_and_describe(
    work: Callable[[Path], dict[str, Any]], staging: Path, out: Path, request: dict[str, Any]
) -> Manifest:
    """Run `work(staging)`, and write the manifest into `staging` last."""
    start = time.monotonic()
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
    return manifest


def finished_artifact(out: Path, stage: str, config: Any, inputs: Mapping[str, Path | str]) -> Manifest | None:
    """The manifest of `out` if it is the requested artifact, None if it does not exist yet.

    For a process that takes part in the work while another one writes the output. Raises ArtifactError if `out` holds
    something else.
    """
    return _load_requested(out, _request(stage, config, inputs)) if out.exists() else None


def _load_requested(out: Path, request: dict[str, Any]) -> Manifest:
    """The manifest of `out`; raises ArtifactError if it has another stage, configuration or inputs."""
    found = load_manifest(out)
    _refuse_other(found_request(found), request, out, "was made")
    return found


def load_manifest(folder: Path) -> Manifest:
    """Read the manifest of `folder`; raises ArtifactError if it is missing or cannot be read."""
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
    """The manifest of an input folder; raises ArtifactError unless it is the output of one of `stages`."""
    if not (folder / MANIFEST).is_file():
        fault = f"no {MANIFEST}, so not a finished output of stackbert" if folder.is_dir() else "no such folder"
        raise ArtifactError(f"{folder}: {fault}; it should be the output of {_or(stages)}")
    manifest = load_manifest(folder)
    if manifest.stage not in stages:
        raise ArtifactError(f"{folder}: holds the output of '{manifest.stage}', not of {_or(stages)}")
    return manifest


def identify(path: Path) -> str:
    """sha256 of the content of a file or folder; the files of a folder with a manifest are verified against it."""
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        raise ArtifactError(f"{path}: no such file or folder")
    files = {name: _describe(path / name) for name in _file_names(path)}
    if not (path / MANIFEST).exists():
        return json_sha256(files)
    manifest = load_manifest(path)
    names = manifest.files.keys() | files.keys()
    changed = sorted(name for name in names if manifest.files.get(name) != files.get(name))
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
    """The fields of a manifest that a rerun must match."""
    return {"stage": manifest.stage, "config": manifest.config, "inputs": manifest.inputs}


def differences(existing: Any, requested: Any, where: str = "") -> list[str]:
    """Dotted paths at which two JSON values differ, with both values."""
    if isinstance(existing, dict) and isinstance(requested, dict):
        names = list(existing) + [name for name in requested if name not in existing]
        return [
            line
            for name in names
            for line in differences(existing.get(name), requested.get(name), f"{where}.{name}" if where else name)
        ]
    return [] if existing == requested else [f"{where}: {existing!r} -> {requested!r}"]


def _request(stage: str, config: Any, inputs: Mapping[str, Path | str]) -> dict[str, Any]:
    """Stage, configuration and inputs as the manifest records them; files and folders by their sha256."""
    identities = {name: identify(value) if isinstance(value, Path) else value for name, value in inputs.items()}
    return {"stage": stage, "config": _plain(config), "inputs": identities}


def _prepare(staging: Path, request: dict[str, Any], resumable: bool) -> None:
    """Empty `staging` except for the request; with `resumable`, keep what an interrupted run of the same request wrote.

    A staging folder with no file but the request is replaced: its work failed before writing anything.
    """
    has_work = sum(path.is_file() for path in staging.rglob("*")) > 1
    if staging.exists() and not (resumable and (staging / REQUEST).exists() and has_work):
        shutil.rmtree(staging)
    if (staging / REQUEST).exists():
        found = json.loads((staging / REQUEST).read_text("utf-8"))
        _refuse_other(found, request, staging, "was started")
    staging.mkdir(exist_ok=True)
    write_json(staging / REQUEST, request)


def _refuse_other(existing: dict[str, Any], requested: dict[str, Any], folder: Path, verb: str) -> None:
    lines = differences(existing, requested)
    if lines:
        raise ArtifactError(
            f"{folder}: {verb} with another configuration or other inputs (existing -> requested):\n  "
            + "\n  ".join(lines)
            + f"\nUse another output folder, or remove this one to make it again: rm -r {folder}"
        )


@contextmanager
def _full_disk_explained(staging: Path) -> Iterator[None]:
    """Turn the error of a full disk into an ArtifactError with folder, bytes written and bytes free."""
    try:
        yield
    except Exception as error:  # libraries wrap the system's error in errors of their own
        if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT) and "No space left" not in str(error):
            raise
        written = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
        free = shutil.disk_usage(staging).free
        raise ArtifactError(
            f"{staging}: the disk is full: {written:,} bytes were written, {free:,} are free ({error}). Make room, or "
            "name a folder on another disk; then run the same command again: it continues with what is finished"
        ) from None


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Lock `out` for this process; the kernel releases the lock when the process ends, even if it is killed."""
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
    """A configuration as it is after a round trip through JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _file_names(folder: Path) -> list[str]:
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(name.as_posix() for name in names if name.parts[0] not in (MANIFEST, REQUEST, SCRATCH))


def _describe(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _or(names: Iterable[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results can depend on."""
    found = {"python": platform.python_version()}
    for name in RECORDED_VERSIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
