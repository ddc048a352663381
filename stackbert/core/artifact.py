"""Atomic stage outputs with a manifest; finished stages are skipped.

A stage writes to a staging folder, which is renamed on success. The manifest records configuration, inputs and files.
"""

import dataclasses
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from stackbert.core.errors import ArtifactError as ArtifactError
from stackbert.core.hashing import file_sha256, json_sha256
from stackbert.core.place import MANIFEST as MANIFEST
from stackbert.core.place import require_folder_place, staging_folder
from stackbert.core.staging import REQUEST as REQUEST
from stackbert.core.staging import SCRATCH as SCRATCH
from stackbert.core.staging import differences as differences
from stackbert.core.staging import (
    full_disk_explained,
    locked,
    prepare,
    refusals_marked,
    refuse_other,
    unread_output_ignored,
)
from stackbert.core.staging import write_json as write_json

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
    def bytes(self) -> int:
        """Size of all files."""
        return sum(int(file["bytes"]) for file in self.files.values())

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

    Raises ArtifactError if `out` cannot be such a folder or holds something else, or another process is writing it.
    """
    require_folder_place(out, *(path for path in inputs.values() if isinstance(path, Path)))
    request = _request(stage, config, inputs)
    if out.exists():
        return _already_finished(out, request)
    out.parent.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if out.exists():  # another process has made it meanwhile
            return _already_finished(out, request)
        staging = staging_folder(out)
        prepare(staging, request, resumable)
        with unread_output_ignored(), full_disk_explained(staging), refusals_marked(staging, resumable):
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


def made_with(out: Path, config: Any) -> Manifest | None:
    """The manifest of `out` if it exists, whatever its inputs; raises ArtifactError where its configuration differs."""
    if not out.exists():
        return None
    found = load_manifest(out)
    refuse_other(found_request(found), found_request(found) | {"config": _plain(config)}, out, "was made")
    return found


def _already_finished(out: Path, request: dict[str, Any]) -> Manifest:
    """The manifest of `out`, which is told to be the requested artifact; raises ArtifactError if it is not."""
    manifest = _load_requested(out, request)
    print(f"{out}: already finished, with these settings and inputs", flush=True)
    return manifest


def _load_requested(out: Path, request: dict[str, Any]) -> Manifest:
    """The manifest of `out`; raises ArtifactError if it has another stage, configuration or inputs, or none."""
    if not (out / MANIFEST).is_file():
        raise ArtifactError(
            f"{out}: is there already, and is not a finished output of stackbert; name a folder that does not exist yet"
        )
    found = load_manifest(out)
    refuse_other(found_request(found), request, out, "was made")
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
            f"{folder}: no {MANIFEST}, so this is not a finished output of stackbert; name one that is"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); remove {folder} to make it again") from None


def require_artifact(folder: Path, *stages: str) -> Manifest:
    """The manifest of an input folder; raises ArtifactError unless it is the output of one of `stages`."""
    if not (folder / MANIFEST).is_file():
        fault = f"no {MANIFEST}, so not a finished output of stackbert" if folder.is_dir() else "no such folder"
        fault = "is a file" if folder.is_file() else fault
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


def found_request(manifest: Manifest) -> dict[str, Any]:
    """The fields of a manifest that a rerun must match."""
    return {"stage": manifest.stage, "config": manifest.config, "inputs": manifest.inputs}


def _request(stage: str, config: Any, inputs: Mapping[str, Path | str]) -> dict[str, Any]:
    """Stage, configuration and inputs as the manifest records them; files and folders by their sha256."""
    identities = {name: identify(value) if isinstance(value, Path) else value for name, value in inputs.items()}
    return {"stage": stage, "config": _plain(config), "inputs": identities}


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
