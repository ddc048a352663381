"""Training states: all that defines a run in one TensorFlow checkpoint, saved often and restored exactly."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from stackbert.core.errors import StackbertError

STOPPED_EXIT_CODE = 75  # EX_TEMPFAIL: the same command continues the run
MEMO_TENSOR = "memo/value/.ATTRIBUTES/VARIABLE_VALUE"
FORMAT = 2  # of states, in their memo; those of version 0.1 have none


class Stopped(SystemExit):
    """The run was asked to stop (SIGTERM) and has saved its state."""


class _Memo(tf.Module):  # type: ignore[misc]  # TensorFlow has no type stubs
    """A JSON text that is saved with the variables."""

    def __init__(self) -> None:
        super().__init__(name="memo")
        self.value = tf.Variable("{}", dtype=tf.string)


class RunState:
    """Saves variables, and a memo of plain values, as TensorFlow checkpoints; keeps the newest two.

    `folder` is the run's own, any path that TensorFlow writes to. None: nothing is saved or found, as on workers other
    than the chief. With `local_io` this process writes the variables of other machines' devices. Raises StackbertError
    where the folder's state has another format.
    """

    def __init__(self, folder: str | None, save_seconds: float, local_io: bool = False) -> None:
        self._folder, self._save_seconds = folder, save_seconds
        self._options = tf.train.CheckpointOptions(experimental_io_device="/job:localhost" if local_io else None)
        self._saved_at = time.monotonic()
        self._asked_to_stop = threading.Event()
        self.memo: dict[str, Any] = self._read_memo()
        self._memo = _Memo()

    @property
    def asked_to_stop(self) -> bool:
        """Whether SIGTERM was received."""
        return self._asked_to_stop.is_set()

    def track(self, **tracked: tf.Module | tf.Variable) -> None:
        """Set what is saved beside the memo, by name."""
        if self._folder is None:
            return
        self._checkpoint = tf.train.Checkpoint(memo=self._memo, **tracked)
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._folder, max_to_keep=2)

    def restore(self) -> bool:
        """Restore the newest state; False where there is none."""
        path = self._manager.latest_checkpoint if self._folder else None
        if path is None:
            return False
        self._checkpoint.restore(path, self._options).assert_consumed()
        return True

    def save(self, step: int) -> None:
        """Save unless this step is saved; the newest checkpoint is never overwritten."""
        if self._folder is None or (self._manager.latest_checkpoint or "").endswith(f"-{step}"):
            return
        self._memo.value.assign(json.dumps(self.memo | {"format": FORMAT}))
        self._manager.save(checkpoint_number=step, options=self._options)
        self._saved_at = time.monotonic()

    def save_if_due(self, step: int) -> None:
        """Save if `save_seconds` have passed since the last time."""
        if time.monotonic() - self._saved_at >= self._save_seconds:
            self.save(step)

    @contextmanager
    def stopping_cleanly(self) -> Iterator[None]:
        """A context in which a first SIGTERM asks the run to save and stop, and a second ends it at once."""
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
        memo: dict[str, Any] = json.loads(tf.train.load_checkpoint(path).get_tensor(MEMO_TENSOR))
        found = memo.pop("format", 1)
        if found != FORMAT:
            raise StackbertError(
                f"{path}: a training state of format {found}, but this version of stackbert reads format {FORMAT}; "
                "finish the run with the version that began it, or remove the folder to begin again"
            )
        return memo
