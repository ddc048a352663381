"""Training states."""

from pathlib import Path

import pytest
import tensorflow as tf

from pretrain.train.state import RunState
from stackbert.core.errors import StackbertError


@pytest.fixture
def state(tmp_path) -> RunState:
    made = RunState(str(tmp_path), save_seconds=1e9)
    made.track(number=tf.Variable(3))
    return made


def test_newest_state_is_never_overwritten(state, tmp_path):
    def files() -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path(tmp_path).glob("ckpt-10.*")}

    state.save(9)
    state.save(10)
    before = files()
    assert before
    state.save(10)
    assert files() == before


def test_memo_is_that_of_the_newest_state(state, tmp_path):
    state.memo["steps"] = 7
    state.save(1)
    state.memo["steps"] = 8
    state.save(2)
    again = RunState(str(tmp_path), save_seconds=1e9)
    assert again.memo == {"steps": 8}


def test_state_of_an_earlier_version_is_refused(tmp_path):
    checkpoint = tf.train.Checkpoint(memo=tf.Module())
    checkpoint.memo.value = tf.Variable('{"history": [], "precision": 0, "steps": 24}')
    path = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=2).save(checkpoint_number=7)
    with pytest.raises(
        StackbertError, match=r"ckpt-7: a training state of format 1, but .* remove the folder"
    ) as error:
        RunState(str(tmp_path), save_seconds=1e9)
    assert path in str(error.value)
