"""Interrupted runs: kills, signals, full disks, diverging losses; nothing is lost."""

import os
import random
import re
import signal
import time
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import EXECUTION_FIELDS, PretrainConfig
from pretrain.objectives.masked_lm import MaskedBatch, Masker
from pretrain.run import run_pretraining
from pretrain.train.batches import TrainingBatches
from pretrain.train.state import STOPPED_EXIT_CODE, Stopped
from pretrain.train.step import StepMetrics
from pretrain.train.trainer import MAX_NONFINITE_STEPS
from pretrain.train.validation import TrainingError
from stackbert.core.artifact import ArtifactError, build_artifact, load_manifest
from tests.disks import resize
from tests.pretrain.processes import finish, start, start_code
from tests.pretrain.runs import STEPS, changed_metrics, config, fingerprint
from tokenizer.encoding.packed_rows import PackedRows

KILLS = int(os.environ.get("STACKBERT_KILLS", "5"))
STEPS_A_KILL = 40
DISK_MEGABYTES = (0.1, 1, 5, 9, 15, 21)  # a state takes 6, and a third is written beside two
OTHER = {"base": "random-mini", "transfer": "similar", "schedule": "cosine", "precision": "bfloat16", "device": "cpu"}


def newest_state(out: Path) -> str:
    path = out.with_name(out.name + ".partial") / "scratch" / "checkpoint"
    return path.read_text() if path.exists() else ""


@pytest.mark.slow
def test_kills_at_random_instants_leave_the_straight_run(small_rows, tmp_path):
    settings = vars(config(tokens=KILLS * STEPS_A_KILL * 4 * 32, save_seconds=0.0))
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "straight", PretrainConfig(**settings))
    chosen, out, killed = random.Random(7), tmp_path / "run", 0
    while killed < KILLS:
        before, process = newest_state(out), start(small_rows, out, settings)
        deadline = time.monotonic() + 120
        while newest_state(out) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chosen.uniform(0, 1))
        process.kill()
        process.communicate()
        if out.exists():
            break
        killed += 1
    assert finish(start(small_rows, out, settings), timeout=60 * KILLS) == [0]
    print(f"killed {killed} times with a state saved after each step: the weights are the straight run's")
    assert killed == KILLS
    assert fingerprint(out) == fingerprint(tmp_path / "straight")


def rows_read(batch: MaskedBatch) -> list[int]:
    """The rows of a batch, whose first token is their number, also where masked."""
    ids, positions = batch.ids_BT.numpy().copy(), batch.positions_BP.numpy()
    used = batch.weights_BP.numpy() > 0
    numbers = np.broadcast_to(np.arange(len(ids))[:, None], used.shape)
    ids[numbers[used], positions[used]] = batch.targets_BP.numpy()[used]
    return (ids[:, 1] - 5).tolist()


def test_each_row_is_read_once_an_epoch_over_five_interruptions():
    count, batch_rows = 60, 4
    ids = np.tile(np.arange(count)[:, None] + 5, (1, 8)).astype(np.uint16)
    ids[:, 0] = 2
    rows = PackedRows(ids, first_id=2, padding_id=0, text_bytes=1, text_tokens=1)
    masker = Masker(count + 5, (0, 1, 2, 3, 4), 4, 0.3)
    ends = [4, 5, 11, 17, 26, 30]  # of 30 steps: two epochs
    order = []
    for begin, end in zip([0, *ends], ends, strict=False):
        for batch in TrainingBatches(rows, masker.mask, batch_rows, seed=3).from_step(begin, end):
            order += rows_read(batch)
    straight = [
        n for batch in TrainingBatches(rows, masker.mask, batch_rows, seed=3).from_step(0, 30) for n in rows_read(batch)
    ]
    assert order == straight
    for epoch in (order[:count], order[count:]):
        assert np.bincount(epoch, minlength=count).tolist() == [1] * count


@pytest.mark.slow
def test_full_disk_is_reported_and_nothing_is_lost(small_rows, straight, disk):
    settings = vars(config(save_seconds=0.0))
    fills = set()
    for megabytes in DISK_MEGABYTES:
        resize(disk, int(megabytes * 1e6))
        process = start(small_rows, disk / "out", settings)
        said = process.communicate(timeout=600)[1]
        if process.returncode == 0:
            break
        found = re.search(r"(\S+): the disk is full: ([\d,]+) bytes were written, ([\d,]+) are free", said)
        assert found, said
        assert found[1].startswith(str(disk))
        assert not (disk / "out").exists()
        fills.add(found[2])
    print(f"full at {len(fills)} different amounts: {', '.join(sorted(fills))} bytes")
    assert len(fills) >= 4
    resize(disk, 200_000_000)
    assert finish(start(small_rows, disk / "out", settings)) == [0]
    assert fingerprint(disk / "out") == fingerprint(straight)


WAIT = """
import sys, time
from pretrain.train.state import RunState
state = RunState(None, 0.0)
with state.stopping_cleanly():
    print("ready", flush=True)
    while not state.asked_to_stop:
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(600)
"""


def test_second_sigterm_ends_at_once():
    with start_code(WAIT) as process:
        for word in ("ready", "asked"):
            assert process.stdout.readline().strip() == word
            process.send_signal(signal.SIGTERM)
        assert process.wait(300) == -signal.SIGTERM


def test_sigterm_within_a_step_is_obeyed_at_its_end(straight, small_rows, tmp_path, monkeypatch):
    def stop(step: int, metrics: StepMetrics) -> StepMetrics:
        if step == 11:
            os.kill(os.getpid(), signal.SIGTERM)
        return metrics

    out = tmp_path / "run"
    run = partial(run_pretraining, small_rows / "rows", small_rows / "tokenizer", out, config(save_seconds=1e9))
    with changed_metrics(monkeypatch, stop), pytest.raises(Stopped) as stopped:
        run()
    assert stopped.value.code == STOPPED_EXIT_CODE
    assert '"ckpt-12"' in newest_state(out), "the step that was under way, and no other"
    run()
    assert fingerprint(out) == fingerprint(straight)


def without_loss(step: int, metrics: StepMetrics) -> StepMetrics:
    """The metrics, without a loss of step 11."""
    return metrics._replace(means=metrics.means | {"loss": float("nan")}) if step == 11 else metrics


def test_loss_that_is_not_a_number_leaves_the_state_before_it(straight, small_rows, tmp_path, monkeypatch):
    out = tmp_path / "run"
    run = partial(run_pretraining, small_rows / "rows", small_rows / "tokenizer", out, config(save_seconds=0.0))
    with (
        changed_metrics(monkeypatch, without_loss),
        pytest.raises(TrainingError, match=r"step 12: loss nan.*the last good state is in"),
    ):
        run()
    assert "ckpt-11" in newest_state(out)
    run()
    assert fingerprint(out) == fingerprint(straight)


def test_error_names_the_steps_of_one_execution(small_rows, tmp_path, monkeypatch):
    settings = config(steps_per_execution=5, evaluations=0)
    with (
        changed_metrics(monkeypatch, without_loss),
        pytest.raises(TrainingError, match=r"step 12 \(executed with steps 11 to 15\): loss nan"),
    ):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)


@pytest.mark.parametrize("nonfinite", [MAX_NONFINITE_STEPS - 1, MAX_NONFINITE_STEPS])
def test_some_gradients_that_are_not_finite_are_tolerated(nonfinite, small_rows, tmp_path, monkeypatch):
    def without_gradient(step: int, metrics: StepMetrics) -> StepMetrics:
        return metrics._replace(gradient_norm=float("inf")) if 3 <= step < 3 + nonfinite else metrics

    run = partial(run_pretraining, small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", config())
    with changed_metrics(monkeypatch, without_gradient):
        if nonfinite < MAX_NONFINITE_STEPS:
            assert run().counts["steps"] == STEPS
        else:
            with pytest.raises(TrainingError, match=rf"step {3 + nonfinite}: loss [\d.]+, gradient norm inf"):
                run()


def other_value(field: str):
    """A valid value that is not the default."""
    value = getattr(PretrainConfig(), field)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return OTHER.get(field, "elsewhere")
    return value + 1 if isinstance(value, int) else value * 0.5 or 0.5


@pytest.mark.parametrize("field", [field.name for field in fields(PretrainConfig)])
def test_any_other_setting_is_refused_unless_the_result_does_not_depend_on_it(field, tmp_path):
    def made(settings: PretrainConfig):
        return build_artifact(tmp_path / "out", "pretrain run", settings.recorded, {"rows": "1"}, lambda _: {})

    first = made(PretrainConfig())
    other = replace(PretrainConfig(), **{field: other_value(field)})
    assert other != PretrainConfig()
    if field in EXECUTION_FIELDS:
        assert made(other) == first
    else:
        with pytest.raises(ArtifactError, match=rf"config\.{field}: "):
            made(other)
    assert load_manifest(tmp_path / "out") == first
