"""What stands around each command: no start-up noise from TensorFlow, and errors in words."""

import errno
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DEBUG = "--debug"
"""Option of every command: show the traceback of an error."""

_STARTUP_LINES = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} |To enable the following inst"
)
"""What TensorFlow's C++ code prints while it is imported, whatever TF_CPP_MIN_LOG_LEVEL says: information only."""

_REMEDIES = {
    errno.ENOENT: "check the path, and that the folder it is in exists",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a folder; a part of this path is a file",
    errno.EEXIST: "name another output, or move it away",
    errno.EACCES: "ask for the permission, or name another path",
    errno.EPERM: "ask for the permission, or name another path",
    errno.EROFS: "name a path on a disk that can be written to",
    errno.ENOSPC: "free some space; the same command goes on from what is finished",
    errno.EDQUOT: "free some space; the same command goes on from what is finished",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or use fewer processes",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EADDRINUSE: "choose another port",
}


def explain(error: OSError) -> str:
    """Path, reason and remedy of what the system refused.

    >>> explain(IsADirectoryError(errno.EISDIR, "Is a directory", "posts"))
    'posts: Is a directory; name a file (--debug shows the traceback)'
    """
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    reason = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0)
    text = ": ".join((" -> ".join(names), reason)) if names else reason
    return "; ".join(part for part in (text, remedy) if part) + f" ({DEBUG} shows the traceback)"


def import_tensorflow() -> None:
    """Import TensorFlow without its start-up lines; warnings and errors among them are shown."""
    with _without_startup_lines():
        import tensorflow  # noqa: F401


@contextmanager
def _without_startup_lines() -> Iterator[None]:
    """Pass standard error through a child process: a line is shown even if this process is aborted right after it."""
    reading, writing = os.pipe()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches both; this one ends with the other's output
            os.close(writing)
            _pass_on(reading)
        finally:
            os._exit(0)  # whatever happens, the child never returns into the program
    os.close(reading)
    shown = os.dup(2)
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(shown, 2)
        os.close(shown)
        os.waitpid(child, 0)


def _pass_on(reading: int) -> None:
    """Copy lines to standard error, except start-up lines."""
    with os.fdopen(reading, "rb") as lines:
        for line in lines:
            if not _STARTUP_LINES.match(line):
                os.write(2, line)
