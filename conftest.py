"""What all tests share: one cache of compiled programs, for all processes of a run."""

import os
import shutil
import tempfile

import pytest

XLA_FLAGS = "TF_XLA_FLAGS"  # read by TensorFlow when it is imported, also in processes that tests start
_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Let XLA keep what it compiles for this run of the tests: most of a tiny model's time is compilation."""
    if not hasattr(config, "workerinput"):  # the workers of pytest-xdist inherit the environment
        config.stash[_CACHE] = folder = tempfile.mkdtemp(prefix="stackbert-xla-")
        flag = f"--tf_xla_persistent_cache_directory={folder}"
        os.environ[XLA_FLAGS] = f"{os.environ.get(XLA_FLAGS, '')} {flag}".strip()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the cache."""
    if folder := config.stash.get(_CACHE, ""):
        shutil.rmtree(folder, ignore_errors=True)
