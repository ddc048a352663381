"""The peak of one piece of work is not that of the one before."""

import platform

import pytest

from stackbert.core.process import forget_peak, peak_bytes

MEGABYTES = 100


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep freed memory otherwise")
def test_memory_that_was_freed_does_not_count_for_what_comes_next():
    freed = [bytes(2_000) for _ in range(500 * MEGABYTES)]  # small ones lie in the heap, which is kept
    at_its_end = bytes(2_000)
    high = peak_bytes()
    del freed
    forget_peak()
    assert high is not None
    assert high - peak_bytes() > 0.8 * MEGABYTES * 1e6
    assert len(at_its_end) == 2_000
