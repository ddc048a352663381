"""Memory that is kept from step to step."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource, sys
from stackbert.core.process import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use():
    place = libc.malloc(64_000_000)
    ctypes.memset(ctypes.c_void_p(place), 1, 64_000_000)
    libc.free(place)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_is_not_mapped_anew():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True).stdout)
        for how in ("keep", "default")
    }
    assert faults["keep"] < 100
    assert faults["default"] > 10 * (faults["keep"] + 1)
