"""Comparisons on several devices and in several processes, with steps compiled once: the same result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.compare.compare import compare
from finetune.compare.comparison import Comparison, load_comparison
from finetune.config import CompareConfig
from finetune.train.head_training import HeadTraining
from finetune.train.step import CompiledStep, FinetuneStep
from pretrain.model.checkpoint import save_checkpoint
from pretrain.train.replicas import find_replicas
from stackbert.core.artifact import SCRATCH
from stackbert.core.errors import StackbertError
from tests.finetune.processes import plain, start
from tests.finetune.questions import WITHOUT_BASELINES
from tests.pretrain.processes import finish, two_workers
from tests.pretrain.tiny import tiny_checkpoint


@pytest.fixture(scope="module")
def same_shapes(tiny_base, small_rows, tmp_path_factory) -> dict[str, str]:
    """Two checkpoints of one architecture with different weights."""
    checkpoint, other = tiny_checkpoint("bert", vocab_size=120), tmp_path_factory.mktemp("same")
    weights = {name: 0.9 * weight for name, weight in checkpoint.weights.items()}
    save_checkpoint(replace(checkpoint, weights=weights), small_rows / "tokenizer", other)
    return {"generic": str(tiny_base), "other": str(other)}


@pytest.fixture(scope="module")
def settings(config) -> CompareConfig:
    return replace(config, label_sizes=(100,), **WITHOUT_BASELINES)


@pytest.fixture(scope="module")
def alone(labelled, same_shapes, settings, tmp_path_factory) -> tuple[Comparison, dict[str, int]]:
    """A comparison on one device, and how often its functions were traced, beside the numbers of rows of steps."""
    out, counts, rows = tmp_path_factory.mktemp("alone") / "out", {"step": 0, "head": 0}, set()

    def counted(kind: str, function):
        def count(*arguments, **named):
            counts[kind] += 1
            return function(*arguments, **named)

        return count

    def noted(execute):
        def note(self, step, *arguments):
            rows.add(step.num_rows)
            return execute(self, step, *arguments)

        return note

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FinetuneStep, "update", counted("step", FinetuneStep.update))
        patch.setattr(HeadTraining, "_epochs", counted("head", HeadTraining._epochs))
        patch.setattr(CompiledStep, "__call__", noted(CompiledStep.__call__))
        compare(labelled, same_shapes, out, settings)
    assert not (out / SCRATCH).exists(), "features and states are removed"
    return load_comparison(out), counts | {"rows": len(rows)}


def test_checkpoints_seeds_and_training_sizes_of_the_same_shapes_are_compiled_once(alone):
    _, counts = alone
    print(f"8 trials of 2 checkpoints: the step was traced {counts['step']} times, the head's epochs {counts['head']}")
    assert counts["step"] == counts["rows"] > 0
    assert counts["head"] == 1


def dev_losses(comparison: Comparison) -> np.ndarray:
    curves = [curves for system in comparison.systems for curves in system.curves]
    return np.array([[record.dev_loss for record in (*each.head, *each.whole)] for each in curves])


def weighted_f1(comparison: Comparison) -> list[float]:
    """Of every system with each number of training texts."""
    return [point.weighted_f1.mean for gain in comparison.gain_against_labels for point in gain.points]


def check_same(out: Path, alone: Comparison) -> None:
    found = load_comparison(out)
    furthest = np.max(np.abs(dev_losses(found) - dev_losses(alone)))
    print(f"dev losses differ by {furthest:.1e} at most")
    assert furthest < 1e-6
    assert found.verdict == alone.verdict
    gains = [
        [point.weighted_f1.mean for gain in each.gain_against_labels for point in gain.points]
        for each in (found, alone)
    ]
    assert gains[0] == pytest.approx(gains[1], abs=1e-6)


@pytest.mark.parametrize("devices", [2, *(pytest.param(count, marks=pytest.mark.slow) for count in (4, 8))])
def test_result_does_not_depend_on_the_number_of_devices(devices, alone, labelled, same_shapes, settings, tmp_path):
    assert finish(start(labelled, same_shapes, tmp_path / "out", plain(settings), devices)) == [0]
    check_same(tmp_path / "out", alone[0])


@pytest.mark.slow
def test_two_processes_share_a_comparison(alone, labelled, same_shapes, settings, tmp_path):
    out = tmp_path / "out"

    def run() -> list[int]:
        return finish(*(start(labelled, same_shapes, out, plain(settings), workers=task) for task in two_workers()))

    assert run() == [0, 0]
    check_same(out, alone[0])
    assert run() == [0, 0], "finished, so neither trains"


def test_batch_that_cannot_be_cut_is_refused(labelled, same_shapes, settings, tmp_path):
    process = start(labelled, same_shapes, tmp_path / "out", plain(settings), devices=3)
    assert "batch_size 16: must be a multiple of the 3 devices" in process.communicate(timeout=600)[1]
    assert list(tmp_path.iterdir()) == []


def test_missing_device_is_named(labelled, same_shapes, settings, tmp_path):
    if find_replicas("auto").accelerated:
        pytest.skip("there is an accelerator")
    with pytest.raises(StackbertError, match="device gpu: this machine has none"):
        compare(labelled, same_shapes, tmp_path / "out", replace(settings, device="gpu"))
