"""Memory that a step frees is kept for the next one."""

import ctypes
import platform

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
