"""Pretraining runs in processes of their own: to share devices or machines, to be killed, to fill a disk."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.paths import ROOT

RUN = """
import json, sys
from pathlib import Path
from pretrain.config import PretrainConfig
from pretrain.run import run_pretraining
rows, tokenizer, out, config = sys.argv[1:]
run_pretraining(Path(rows), Path(tokenizer), Path(out), PretrainConfig(**json.loads(config)))
"""
LOGICAL_DEVICES = """
import tensorflow as tf
devices = [tf.config.LogicalDeviceConfiguration() for _ in range({count})]
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
"""


def start(
    rows: Path, out: Path, settings: dict, devices: int = 1, workers: dict | None = None, first: str = ""
) -> subprocess.Popen:
    """A run on `rows`/rows in a process with so many CPU devices, which executes `first` before.

    `workers` is the value of TF_CONFIG.
    """
    before = LOGICAL_DEVICES.format(count=devices) if devices > 1 else ""
    return start_code(before + first + RUN, rows / "rows", rows / "tokenizer", out, settings, workers=workers)


def start_code(code: str, *arguments: object, workers: dict | None = None) -> subprocess.Popen:
    """A Python process; dictionaries and lists among the arguments become JSON."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    if workers:
        environment["TF_CONFIG"] = json.dumps(workers)
    texts = [json.dumps(each) if isinstance(each, dict | list) else str(each) for each in arguments]
    command = [sys.executable, "-c", code, *texts]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def start_workers(rows: Path, out: Path, settings: dict, first: tuple[str, str] = ("", "")) -> list[subprocess.Popen]:
    """A run that two processes share, the chief first; each executes its own of `first` before."""
    tasks = two_workers()
    return [start(rows, out, settings, workers=task, first=code) for task, code in zip(tasks, first, strict=True)]


def two_workers() -> list[dict]:
    """Values of TF_CONFIG for two processes of this machine, the chief's first."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    cluster = {"worker": [f"localhost:{each.getsockname()[1]}" for each in sockets]}
    for each in sockets:
        each.close()
    return [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(2)]


def finish(*processes: subprocess.Popen, timeout: float = 600) -> list[int]:
    """Exit codes; prints the output of processes that failed."""
    for process in processes:
        printed = process.communicate(timeout=timeout)
        if process.returncode not in (0, 75):
            print(*printed, sep="\n")
    return [process.returncode for process in processes]


def wait_for(path: Path, process: subprocess.Popen, timeout: float = 300) -> None:
    """Return when the running process has made the file."""
    deadline = time.monotonic() + timeout
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    assert path.exists(), "the process ended before it made the file"
