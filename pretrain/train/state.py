"""The state of a run: everything that defines it in one TensorFlow checkpoint, saved often, restored exactly."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

STOPPED_EXIT_CODE = 75  # EX_TEMPFAIL: run again and it goes on
MEMO = "memo/value/.ATTRIBUTES/VARIABLE_VALUE"


class Stopped(SystemExit):
    """The run was asked to stop (SIGTERM) and has saved its state."""


class _Memo(tf.Module):
    """A JSON text that is saved with the variables."""

    def __init__(self) -> None:
        super().__init__(name="memo")
        self.value = tf.Variable("{}", dtype=tf.string)


class RunState:
    """Saves tensors, and a memo of plain values, with TensorFlow's own checkpoints; the newest two are kept.

    `folder` is any place that TensorFlow writes to, the run's own. Without one nothing is saved or found: a worker
    beside the chief. With `from_here` this process writes for devices of other machines.
    """

    def __init__(self, folder: str | None, save_seconds: float, from_here: bool = False):
        self._folder, self._save_seconds = folder, save_seconds
        self._options = tf.train.CheckpointOptions(experimental_io_device="/job:localhost" if from_here else None)
        self._saved_at = time.monotonic()
        self._asked_to_stop = threading.Event()
        self.memo: dict[str, Any] = self._read_memo()
        self._memo = _Memo()

    @property
    def asked_to_stop(self) -> bool:
        """Whether SIGTERM came."""
        return self._asked_to_stop.is_set()

    def track(self, **tracked: tf.Module | tf.Variable) -> None:
        """Name what is saved beside the memo."""
        if self._folder is None:
            return
        self._checkpoint = tf.train.Checkpoint(memo=self._memo, **tracked)
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._folder, max_to_keep=2)

    def restore(self) -> bool:
        """Restore the newest state; False where there is none yet."""
        path = self._manager.latest_checkpoint if self._folder else None
        if path is None:
            return False
        self._checkpoint.restore(path, self._options).assert_consumed()
        return True

    def save(self, step: int) -> None:
        """Write the state now, unless it is written: what the newest one is read from is never overwritten."""
        if self._folder is None or (self._manager.latest_checkpoint or "").endswith(f"-{step}"):
            return
        self._memo.value.assign(json.dumps(self.memo))
        self._manager.save(checkpoint_number=step, options=self._options)
        self._saved_at = time.monotonic()

    def save_if_due(self, step: int) -> None:
        """Write the state if the pause has passed."""
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

    def _read_memo(self) -> dict[str, Any]:
        path = tf.train.latest_checkpoint(self._folder) if self._folder else None
        if path is None:
            return {}
        memo: dict[str, Any] = json.loads(tf.train.load_checkpoint(path).get_tensor(MEMO))
        return memo
