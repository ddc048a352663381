"""Several devices, and several processes, that share a run: the same batches, and the same result."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretrain.config import PretrainConfig
from pretrain.run import run_pretraining
from pretrain.train.replicas import find_replicas
from stackbert.core.artifact import SCRATCH
from stackbert.core.errors import StackbertError
from tests.pretrain.processes import LOGICAL_DEVICES, finish, start, start_code, start_workers
from tests.pretrain.sample_rows import batches

SETTINGS = {
    "base": "random-tiny",
    "steps": 20,
    "batch_rows": 8,
    "learning_rate": 1e-3,
    "precision": "float32",
    "save_seconds": 1e9,
    "evaluations": 19,
    "validation_rows": 8,
}
RUNS_WITH_TWO_DEVICES = (
    LOGICAL_DEVICES.format(count=2)
    + """
import json, sys
from pathlib import Path
import pretrain.run
from pretrain.config import PretrainConfig
from pretrain.train.replicas import Replicas, find_replicas
replicas = find_replicas("auto")
pretrain.run.find_replicas = lambda _: replicas  # TensorFlow numbers collectives anew for each strategy of a process
folder, out, runs = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
for name, (feeds_batches, settings) in runs.items():
    Replicas.feeds_batches = feeds_batches
    pretrain.run.run_pretraining(folder / "rows", folder / "tokenizer", out / name, PretrainConfig(**settings))
"""
)
RUNS = {
    "plain": (False, SETTINGS),
    "steps of one execution": (False, SETTINGS | {"steps_per_execution": 7, "evaluations": 1}),
    "sent": (True, SETTINGS | {"steps_per_execution": 7}),
}
"""Name -> whether batches are sent to the devices, settings."""


def losses(out: Path) -> np.ndarray:
    """Validation losses after each step."""
    return np.array([point["loss"] for point in json.loads((out / "history.json").read_text())])


def run_here(made: Path, out: Path, **changes) -> np.ndarray:
    """Validation losses of a run in this process."""
    run_pretraining(made / "rows", made / "tokenizer", out, PretrainConfig(**SETTINGS | changes))
    return losses(out)


@pytest.fixture(scope="module")
def alone(small_rows, tmp_path_factory) -> np.ndarray:
    """Validation losses with one device."""
    return run_here(small_rows, tmp_path_factory.mktemp("alone") / "run")


@pytest.fixture(scope="module")
def shared(small_rows, tmp_path_factory) -> Path:
    """The outputs of RUNS, which two devices share, by their names."""
    out = tmp_path_factory.mktemp("shared")
    assert finish(start_code(RUNS_WITH_TWO_DEVICES, small_rows, out, RUNS)) == [0]
    return out


@pytest.mark.parametrize("count", [2, 4, 8])
def test_slices_of_a_batch_together_are_the_batch(count):
    source = batches(batch_rows=8)
    of_each = [list(source.dataset(0, 6, count, range(n, n + 1))) for n in range(count)]
    for whole, *slices in zip(source.from_step(0, 6), *of_each, strict=True):
        for name, tensor in whole._asdict().items():
            together = np.concatenate([getattr(each, name).numpy() for each in slices])
            np.testing.assert_array_equal(together, tensor.numpy())


def test_a_device_takes_its_slices_in_order():
    source = batches(batch_rows=8)
    own = list(source.dataset(2, 4, 4, range(2, 4)))
    each = [next(iter(source.dataset(step, step + 1, 4, range(n, n + 1)))) for step in (2, 3) for n in (2, 3)]
    for one, other in zip(own, each, strict=True):
        np.testing.assert_array_equal(one.ids_BT.numpy(), other.ids_BT.numpy())


@pytest.mark.parametrize("devices", [2, 4, pytest.param(8, marks=pytest.mark.slow)])
def test_losses_do_not_depend_on_the_number_of_devices(devices, alone, shared, small_rows, tmp_path):
    out = shared / "plain" if devices == 2 else tmp_path / "run"
    if devices > 2:
        assert finish(start(small_rows, out, SETTINGS, devices)) == [0]
    furthest = np.max(np.abs(losses(out) / alone - 1))
    print(f"{devices} devices, 20 steps: losses differ by {furthest:.1e} at most")
    assert json.loads((out / "manifest.json").read_text())["counts"]["devices"] == devices
    assert len(alone) == 21
    assert furthest < 1e-5


@pytest.mark.parametrize("micro_batch_rows", [2, 3])  # 3 does not divide 8: micro-batches of 2 again
def test_gradients_and_losses_of_micro_batches_add_up_to_those_of_the_batch(
    micro_batch_rows, alone, small_rows, tmp_path
):
    found = run_here(small_rows, tmp_path / "run", micro_batch_rows=micro_batch_rows)
    np.testing.assert_allclose(found, alone, rtol=1e-5)


def test_steps_of_one_execution_are_those_executed_one_by_one(alone, shared):
    np.testing.assert_allclose(losses(shared / "steps of one execution"), alone[[0, 10, 20]], rtol=1e-5)


def test_batches_sent_to_the_devices_are_those_made_there(alone, shared):
    np.testing.assert_allclose(losses(shared / "sent"), alone, rtol=1e-5)


@pytest.fixture(scope="module")
def two_processes(small_rows, tmp_path_factory) -> Path:
    """The output of a run that two processes shared."""
    out = tmp_path_factory.mktemp("workers") / "run"
    assert finish(*start_workers(small_rows, out, SETTINGS)) == [0, 0]
    return out


def test_two_processes_share_a_run(alone, two_processes, small_rows):
    np.testing.assert_allclose(losses(two_processes), alone, rtol=1e-5)
    assert json.loads((two_processes / "manifest.json").read_text())["counts"]["devices"] == 2
    assert finish(*start_workers(small_rows, two_processes, SETTINGS)) == [0, 0], "finished, so neither trains"


IS_ASKED_TO_STOP = """
import os, signal
from pretrain.train.step import CompiledStep
execute, executions = CompiledStep.__call__, 0
def asked(*arguments):
    global executions
    executions += 1
    if executions == 7:
        os.kill(os.getpid(), signal.SIGTERM)
    return execute(*arguments)
CompiledStep.__call__ = asked
"""


def test_one_of_two_processes_asked_to_stop_stops_both_and_they_resume(two_processes, small_rows, tmp_path):
    assert finish(*start_workers(small_rows, tmp_path / "run", SETTINGS, ("", IS_ASKED_TO_STOP))) == [75, 75]
    assert list((tmp_path / "run.partial" / SCRATCH).glob("ckpt-*.index"))
    assert finish(*start_workers(small_rows, tmp_path / "run", SETTINGS)) == [0, 0]
    weights = [(run / "model.safetensors").read_bytes() for run in (two_processes, tmp_path / "run")]
    assert weights[0] == weights[1]


def test_batch_that_cannot_be_cut_is_refused(small_rows, tmp_path):
    process = start(small_rows, tmp_path / "run", SETTINGS, devices=3)
    assert "must be a multiple of the 3 devices" in process.communicate(timeout=600)[1]


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_missing_device_is_named():
    with pytest.raises(StackbertError, match="device gpu"):
        find_replicas("gpu")


def test_several_machines_need_device_auto(monkeypatch):
    cluster = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(StackbertError, match="TF_CONFIG names several machines, which needs device auto"):
        find_replicas("cpu")


def test_state_folder_holds_a_state_of_each_run(alone, small_rows, tmp_path):
    state = tmp_path / "elsewhere" / "state"
    np.testing.assert_array_equal(run_here(small_rows, tmp_path / "run", state_folder=str(state)), alone)
    assert len(list(state.glob("*/ckpt-*.index"))) == 1
    run_here(small_rows, tmp_path / "other", state_folder=str(state), seed=1, steps=1)
    assert len(list(state.glob("*/ckpt-*.index"))) == 2, "each run has its own"


def test_state_outlives_the_output(alone, small_rows, tmp_path):
    settings = {"state_folder": str(tmp_path / "state"), "exports": 1}
    run_here(small_rows, tmp_path / "run", **settings)
    shutil.rmtree(tmp_path / "run")
    np.testing.assert_array_equal(run_here(small_rows, tmp_path / "run", **settings), alone)
    notes = json.loads((tmp_path / "run" / "manifest.json").read_text())["counts"]["notes"]
    assert "step-10 of checkpoints were deleted with an earlier output folder" in notes
