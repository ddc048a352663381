"""What stands around each command: no start-up noise from TensorFlow, errors in words, and a quiet end when it is told
to stop or its output is no longer read."""

import codecs
import errno
import io
import os
import re
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stackbert.core.errors import StackbertError
from stackbert.core.workers import end_workers

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

# as shells have it for a command that the signal ended
INTERRUPTED, TERMINATED, UNREAD = 128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGPIPE


class Terminated(KeyboardInterrupt):
    """SIGTERM: this process was asked to end."""


def answer(command: Callable[[], None], debug: bool) -> int:
    """Run the command; returns its exit code, and says on standard error in one line why it failed.

    With `debug`, errors are raised instead. Worker processes have ended when this returns.
    """
    _open_closed_streams()
    _print_any_character()
    try:
        with _signals_raised():
            return _flushed(command)
    except (StackbertError, OSError) as error:
        if isinstance(error, BrokenPipeError) and _drop_unread():
            return UNREAD
        if debug:
            raise
        _say(str(error) if isinstance(error, StackbertError) else explain(error))
        return 1
    except KeyboardInterrupt as stop:
        ended = isinstance(stop, Terminated)
        _say(f"{'ended by SIGTERM' if ended else 'interrupted'}; the same command goes on from what is finished")
        return TERMINATED if ended else INTERRUPTED
    finally:
        end_workers()


def _flushed(command: Callable[[], None]) -> int:
    """The exit code of a command whose output has been written whole."""
    code: int | str | None = 0
    try:
        command()
    except SystemExit as stop:  # of the parser of arguments, and of commands that end with a code of their own
        code = stop.code
    if isinstance(code, str):
        raise StackbertError(code)
    sys.stdout.flush()
    return code or 0


def _say(text: str) -> None:
    print(f"stackbert: {text}", file=sys.stderr, flush=True)


@contextmanager
def _signals_raised() -> Iterator[None]:
    """A context in which a first Ctrl+C or SIGTERM is raised, and a second ends the process at once."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    before = {number: known for number, known in before.items() if known not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _drop_unread() -> bool:
    """Whether a reader of the output, such as head, has gone; what is still to be written is then discarded."""
    unread = False
    for stream in (sys.stdout, sys.stderr):
        try:
            number = stream.fileno()
        except OSError:  # replaced by something that is no file
            continue
        poll = select.poll()
        poll.register(number, 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            unread = True
    return unread


def _open_closed_streams() -> None:
    """Discard what goes to a standard stream that is closed; else a file opened next would get its number, and it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115, PTH123


def _print_any_character() -> None:
    r"""Escape what the encoding of standard output lacks: 'ä' is \u00e4 in ASCII, which JSON reads as 'ä'."""
    codecs.register_error("stackbert-escape", _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="stackbert-escape")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


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


def start_quietly() -> None:
    """Let libraries print errors only, and import TensorFlow without its start-up lines: the first line of a notebook.

    >>> from stackbert import start_quietly  # before anything that imports TensorFlow
    """
    silence_libraries()
    import_tensorflow()


def silence_libraries() -> None:
    """Set what makes TensorFlow and transformers print errors only, where the environment does not say otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")


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
