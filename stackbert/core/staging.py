"""The folder in which an output is made: locked for one process, continued by the same request, kept from others."""

import errno
import fcntl
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

from stackbert.core.errors import ArtifactError, StackbertError
from stackbert.core.place import lock_file

REQUEST = "request.json"
REFUSED = "refused.txt"
"""In a staging folder: why the run that wrote it was refused."""
SCRATCH = "scratch"
"""Folder in a staging folder for files that are deleted on success, such as the saved state of a training run."""
WORTH_SECONDS = 60.0
"""Work of a refused run that another request discards without asking; more is kept until it is removed by hand."""


def prepare(staging: Path, request: dict[str, Any], resumable: bool) -> None:
    """Empty `staging` except for the request; with `resumable`, keep what an unfinished run of the same request wrote.

    What a run of another request wrote is replaced where it is of no worth: nothing is finished in it, or the run was
    refused within WORTH_SECONDS, as a mended command is another request. Otherwise raises ArtifactError.
    """
    if staging.exists() and not (resumable and (staging / REQUEST).exists() and _has_work(staging)):
        shutil.rmtree(staging)
    if (staging / REQUEST).exists():
        found = json.loads((staging / REQUEST).read_text("utf-8"))
        if found != request and (staging / REFUSED).exists() and _seconds(staging) < WORTH_SECONDS:
            print(f"{staging}: was left by a command that was refused; it is made anew", file=sys.stderr)
            shutil.rmtree(staging)
        else:
            refuse_other(found, request, staging, "was started")
    (staging / REFUSED).unlink(missing_ok=True)
    if not (staging / REQUEST).exists():  # its time is that of the first run
        staging.mkdir()
        write_json(staging / REQUEST, request)


@contextmanager
def refusals_marked(staging: Path, resumable: bool) -> Iterator[None]:
    """Where the work is refused (StackbertError), mark the folder so; remove it if nothing in it can be continued."""
    try:
        yield
    except StackbertError as error:
        if resumable and _has_work(staging):
            with suppress(OSError):
                (staging / REFUSED).write_text(f"{error}\n", "utf-8", "replace")
        else:
            shutil.rmtree(staging, ignore_errors=True)
        raise


def refuse_other(existing: dict[str, Any], requested: dict[str, Any], folder: Path, verb: str) -> None:
    """Raise ArtifactError with the differences, if any, between the request that made a folder and another."""
    lines = differences(existing, requested)
    if lines:
        raise ArtifactError(
            f"{folder}: {verb} with another configuration or other inputs (existing -> requested):\n  "
            + "\n  ".join(lines)
            + f"\nUse another output folder, or remove this one to make it again: rm -r {folder}"
        )


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


@contextmanager
def full_disk_explained(staging: Path) -> Iterator[None]:
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


class _Output:
    """Standard output that a reader such as head may stop to read; what is printed after that is discarded."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._discarded():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._discarded():
            self._stream.flush()

    @contextmanager
    def _discarded(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextmanager
def unread_output_ignored() -> Iterator[None]:
    """A context in which work goes on although nobody reads what it prints: the folder that it makes is the result."""
    if sys.stdout is None:
        yield
        return
    output = _Output(sys.stdout)
    with redirect_stdout(output):
        yield
    output.flush()


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Lock `out` for this process; the kernel releases the lock when the process ends, even if it is killed.

    The file is removed at the end, except where the process is killed; one that is left over locks nobody out.
    """
    path = lock_file(out)
    with _locked_file(out, path) as lock:
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}")
        lock.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked_file(out: Path, path: Path) -> TextIO:
    """The open and locked file at `path`."""
    while True:
        lock = path.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            lock.close()
            raise ArtifactError(f"{out}: is being written by {owner}; wait for it") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()  # its owner removed it after it was opened here


def write_json(path: Path, value: Any) -> None:
    """Write indented UTF-8 JSON, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    os.replace(partial, path)


def _has_work(staging: Path) -> bool:
    """Whether any file but the request is finished."""
    return any(path.is_file() for path in _finished(staging) if path.name not in (REQUEST, REFUSED))


def _seconds(staging: Path) -> float:
    """From the start of the first run until the last file was written."""
    times = [path.stat().st_mtime for path in _finished(staging) if path.name != REFUSED]
    return max(times, default=0.0) - (staging / REQUEST).stat().st_mtime


def _finished(staging: Path) -> Iterator[Path]:
    """What is in the folder, without what was being written."""
    for path in staging.rglob("*"):
        if not any(name.endswith(".partial") for name in path.relative_to(staging).parts):
            yield path
