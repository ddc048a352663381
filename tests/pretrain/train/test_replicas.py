"""Several devices, and several processes, that share a run: the same batches, and the same result."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretrain.train.replicas import find_replicas
from stackbert.core.artifact import SCRATCH
from stackbert.core.errors import StackbertError
from tests.paths import ROOT
from tests.pretrain.train.test_batches import batches

RUN = """
import json, sys
from pathlib import Path
import tensorflow as tf
from pretrain.config import PretrainConfig
from pretrain.run import pretrain
devices, rows, tokenizer, out, config = sys.argv[1:]
if int(devices) > 1:
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(int(devices))]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
pretrain(Path(rows), Path(tokenizer), Path(out), PretrainConfig(**json.loads(config)))
"""
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


def start(
    made: Path, out: Path, devices: int = 1, workers: dict | None = None, first: str = "", **changes
) -> subprocess.Popen:
    """A run in a process of its own, which executes `first` before."""
    settings = json.dumps(SETTINGS | changes)
    command = [sys.executable, "-c", first + RUN, devices, made / "rows", made / "tokenizer", out, settings]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    if workers:
        environment["TF_CONFIG"] = json.dumps(workers)
    return subprocess.Popen(
        list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(*processes: subprocess.Popen) -> list[int]:
    """Exit codes; what was printed by one that failed is printed."""
    for process in processes:
        printed = process.communicate(timeout=300)
        if process.returncode not in (0, 75):
            print(*printed, sep="\n")
    return [process.returncode for process in processes]


def losses(out: Path) -> np.ndarray:
    """Held-out losses after each step."""
    return np.array([point["loss"] for point in json.loads((out / "history.json").read_text())])


@pytest.fixture(scope="module")
def alone(small_rows, tmp_path_factory) -> np.ndarray:
    out = tmp_path_factory.mktemp("alone") / "run"
    assert finish(start(small_rows, out)) == [0]
    return losses(out)


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_of_a_batch_together_are_the_batch(parts):
    source = batches(batch_rows=8)
    for step, whole in enumerate(source.from_step(0, 6)):
        taken = [next(iter(source.dataset(step, step + 1, parts, range(n, n + 1)))) for n in range(parts)]
        for name, tensor in whole._asdict().items():
            together = np.concatenate([getattr(part, name).numpy() for part in taken])
            np.testing.assert_array_equal(together, tensor.numpy())


def test_a_device_takes_its_parts_in_turn():
    source = batches(batch_rows=8)
    own = list(source.dataset(2, 4, 4, range(2, 4)))
    each = [next(iter(source.dataset(step, step + 1, 4, range(n, n + 1)))) for step in (2, 3) for n in (2, 3)]
    for one, other in zip(own, each, strict=True):
        np.testing.assert_array_equal(one.ids_BT.numpy(), other.ids_BT.numpy())


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_losses_do_not_depend_on_the_number_of_devices(devices, alone, small_rows, tmp_path):
    assert finish(start(small_rows, tmp_path / "run", devices)) == [0]
    furthest = np.max(np.abs(losses(tmp_path / "run") / alone - 1))
    print(f"{devices} devices, 20 steps: losses differ by {furthest:.1e} at most")
    assert len(alone) == 21
    assert furthest < 1e-5


@pytest.mark.parametrize("micro_batch_rows", [2, 3])  # 3 does not divide 8: turns of 2 again
def test_gradients_and_losses_added_up_in_turns_are_those_of_the_batch(micro_batch_rows, alone, small_rows, tmp_path):
    assert finish(start(small_rows, tmp_path / "run", micro_batch_rows=micro_batch_rows)) == [0]
    np.testing.assert_allclose(losses(tmp_path / "run"), alone, rtol=1e-5)


def test_steps_in_one_call_are_those_taken_alone(alone, small_rows, tmp_path):
    settings = {"steps_per_execution": 7, "evaluations": 1}
    assert finish(start(small_rows, tmp_path / "run", 2, **settings)) == [0]
    np.testing.assert_allclose(losses(tmp_path / "run"), alone[[0, 10, 20]], rtol=1e-5)


def two_workers(made: Path, out: Path, **changes) -> list[subprocess.Popen]:
    """A run shared by two processes, the chief first."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    cluster = {"worker": [f"localhost:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [start(made, out, workers=task, **changes) for task in tasks]


def test_two_processes_share_a_run(alone, small_rows, tmp_path):
    assert finish(*two_workers(small_rows, tmp_path / "run")) == [0, 0]
    np.testing.assert_allclose(losses(tmp_path / "run"), alone, rtol=1e-5)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["counts"]["devices"] == 2
    assert finish(*two_workers(small_rows, tmp_path / "run")) == [0, 0], "finished, so both have nothing to do"


def test_one_of_two_processes_asked_to_stop_stops_both_and_they_go_on(small_rows, tmp_path):
    assert finish(*two_workers(small_rows, tmp_path / "straight", steps=400, evaluations=1)) == [0, 0]
    chief, other = two_workers(small_rows, tmp_path / "run", steps=400, evaluations=1)
    begun, deadline = tmp_path / "run.partial" / "history.json", time.monotonic() + 120
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    other.send_signal(signal.SIGTERM)
    assert finish(chief, other) == [75, 75]
    assert list((tmp_path / "run.partial" / SCRATCH).glob("ckpt-*.index"))
    assert finish(*two_workers(small_rows, tmp_path / "run", steps=400, evaluations=1)) == [0, 0]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "run")]
    assert weights[0] == weights[1]


def test_batch_that_cannot_be_cut_is_refused(small_rows, tmp_path):
    process = start(small_rows, tmp_path / "run", 3)
    assert "must be a multiple of the 3 devices" in process.communicate(timeout=120)[1]


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_device_that_is_not_there_is_named():
    with pytest.raises(StackbertError, match="device gpu"):
        find_replicas("gpu")


def test_kind_of_device_is_not_chosen_for_several_machines(monkeypatch):
    cluster = {"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(StackbertError, match="TF_CONFIG names several machines, for device auto"):
        find_replicas("cpu")


def test_state_is_kept_where_asked(alone, small_rows, tmp_path):
    state = tmp_path / "elsewhere" / "state"
    assert finish(start(small_rows, tmp_path / "run", state_folder=str(state))) == [0]
    np.testing.assert_array_equal(losses(tmp_path / "run"), alone)
    assert len(list(state.glob("*/ckpt-*.index"))) == 1
    assert finish(start(small_rows, tmp_path / "other", state_folder=str(state), seed=1)) == [0]
    assert len(list(state.glob("*/ckpt-*.index"))) == 2, "each run has its own"


def test_state_outlives_the_output(alone, small_rows, tmp_path):
    settings = {"state_folder": str(tmp_path / "state"), "exports": 1, "evaluations": 19}
    assert finish(start(small_rows, tmp_path / "run", **settings)) == [0]
    shutil.rmtree(tmp_path / "run")
    assert finish(start(small_rows, tmp_path / "run", **settings)) == [0]
    np.testing.assert_array_equal(losses(tmp_path / "run"), alone)
    notes = json.loads((tmp_path / "run" / "manifest.json").read_text())["counts"]["notes"]
    assert "step-10 of checkpoints went with an earlier output folder" in notes


def test_batches_sent_to_the_devices_are_those_made_there(alone, small_rows, tmp_path):
    sending = "from pretrain.train.replicas import Replicas\nReplicas.feeds_batches = True\n"
    assert finish(start(small_rows, tmp_path / "run", 2, first=sending, steps_per_execution=7)) == [0]
    np.testing.assert_allclose(losses(tmp_path / "run"), alone, rtol=1e-5)
