"""The state of a run on disk: everything that defines it in one checkpoint, saved often, restored exactly."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

STOPPED_EXIT_CODE = 75  # EX_TEMPFAIL: run again and it goes on


class Stopped(SystemExit):
    """The run was asked to stop (SIGTERM) and has saved its state."""


class RunState:
    """Saves `tracked` with TensorFlow's own checkpoints, the newest two of them, and restores the newest."""

    def __init__(self, folder: Path, save_seconds: float, **tracked: tf.Module | tf.Variable):
        self._checkpoint = tf.train.Checkpoint(**tracked)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._save_seconds = save_seconds
        self._saved_at = time.monotonic()
        self._asked_to_stop = threading.Event()

    def restore(self) -> bool:
        """Restore the newest state; False where there is none yet."""
        path = self._manager.latest_checkpoint
        if path is None:
            return False
        self._checkpoint.restore(path).assert_consumed()
        return True

    def save(self, step: int) -> None:
        """Write the state now."""
        self._manager.save(checkpoint_number=step)
        self._saved_at = time.monotonic()

    def save_if_due(self, step: int) -> None:
        """Write the state if the pause has passed; if the process was asked to stop, write it and raise Stopped."""
        if self._asked_to_stop.is_set():
            self.save(step)
            raise Stopped(STOPPED_EXIT_CODE)
        if time.monotonic() - self._saved_at >= self._save_seconds:
            self.save(step)

    @contextmanager
    def stopping_cleanly(self) -> Iterator[None]:
        """Within: a first SIGTERM asks the run to save and stop, a second ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(*_: object) -> None:
            self._asked_to_stop.set()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        before = signal.signal(signal.SIGTERM, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
