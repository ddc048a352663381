"""Memory of this process: glibc's malloc settings, and the peak that Linux records."""

import ctypes
import gc
import platform
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # from glibc's malloc.h
NEVER_TRIM = -1  # malloc reads it as the largest size

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def keep_freed_memory() -> bool:
    """Make glibc's malloc keep freed memory for the next training step, in one heap; returns whether it could.

    On a CPU, malloc allocates TensorFlow's tensors. By default it maps large ones from the system each time, which
    clears them page by page: a tenth of the time of a training step. Call it before TensorFlow starts threads. Other C
    libraries have no such setting.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {M_ARENA_MAX: 1, M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER_TRIM}
    return all(mallopt(name, value) for name, value in settings.items())


def forget_peak() -> None:
    """Reset the peak that `peak_bytes` returns; does nothing where the system cannot.

    Memory that malloc keeps is returned to the system first, because it would count as held.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def peak_bytes() -> int | None:
    """Peak resident memory of this process since `forget_peak`; None where the system does not record it."""
    try:
        lines = _STATUS.read_text("ascii").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return int(found.split()[1]) * 1024 if found else None
