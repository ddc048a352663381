"""Memory that a step frees is kept for the next one."""

import ctypes
import gc
import platform
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of glibc's malloc.h
NEVER = -1  # read as the largest size


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep what is freed, in one heap; returns whether it could.

    TensorFlow's tensors on a CPU are malloc's. By default a large one is mapped anew from the system each time, which
    clears it page by page: a tenth of a training step's time. The command line calls it before TensorFlow makes
    threads; other C libraries have no such setting and are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER}
    return all(mallopt(name, value) for name, value in settings.items())


_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def forget_peak() -> None:
    """Let the peak that `peak_bytes` gives begin anew; nothing where the system cannot.

    What earlier work has freed is first given back to the system, or it would count as held.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others keep less, or say nothing of it
    if trim is not None:
        trim(0)
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_bytes() -> int | None:
    """The most memory this process has held since `forget_peak`; None where the system does not say."""
    try:
        lines = _STATUS.read_text("ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return int(found.split()[1]) * 1024 if found else None
