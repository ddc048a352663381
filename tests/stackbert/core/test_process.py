"""Memory of this process: what malloc keeps, and the recorded peak."""

import platform
import subprocess
import sys

import pytest

from stackbert.core.process import forget_peak, peak_bytes

PROGRAM = """
import ctypes, resource, sys
from stackbert.core.process import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use():
    address = libc.malloc(64_000_000)
    ctypes.memset(ctypes.c_void_p(address), 1, 64_000_000)
    libc.free(address)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_kept_for_reuse():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True).stdout)
        for how in ("keep", "default")
    }
    assert faults["keep"] < 100
    assert faults["default"] > 10 * (faults["keep"] + 1)


MEGABYTES = 100


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep freed memory otherwise")
def test_freed_memory_does_not_count_after_a_reset_of_the_peak():
    freed = [bytes(2_000) for _ in range(500 * MEGABYTES)]  # small ones lie in the heap, which is kept
    at_its_end = bytes(2_000)
    high = peak_bytes()
    del freed
    forget_peak()
    assert high is not None
    assert high - peak_bytes() > 0.8 * MEGABYTES * 1e6
    assert len(at_its_end) == 2_000
