"""How much memory a piece of work took."""

import ctypes
import gc
from pathlib import Path

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
