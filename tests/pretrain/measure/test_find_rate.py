"""The range test: rates that rise, on the run's own batches, and nothing left behind."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pretrain.config import PretrainConfig
from pretrain.measure.config import FindRateConfig
from pretrain.measure.find_rate import FoundRate, find_rate
from pretrain.run import run_pretraining
from pretrain.train.step import CompiledStep
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from tests.pretrain.processes import LOGICAL_DEVICES, finish, start_code
from tests.pretrain.runs import config

RANGE = FindRateConfig(1e-5, 1e-1)
CONFIG = config(tokens=1, steps=20, batch_rows=8)
IN_A_PROCESS = """
import json, sys
from pathlib import Path
from pretrain.config import PretrainConfig
from pretrain.measure.config import FindRateConfig
from pretrain.measure.find_rate import find_rate
made, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
find_rate(made / "rows", made / "tokenizer", PretrainConfig(**settings), FindRateConfig(1e-5, 1e-1), out)
"""


def found_on(made: Path, settings: PretrainConfig = CONFIG, test: FindRateConfig = RANGE, **more) -> FoundRate:
    return find_rate(made / "rows", made / "tokenizer", settings, test, **more)


@pytest.fixture(scope="module")
def found(small_rows) -> FoundRate:
    return found_on(small_rows)


def files(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_rates_are_geometric(found):
    np.testing.assert_array_equal(found.curve.rates_N, np.geomspace(1e-5, 1e-1, 20).astype("f4"))
    assert "20 steps of 256 tokens, learning rate from 1e-05 to 0.1" in found.notes[-1]


def test_losses_are_those_of_a_run_until_the_rates_differ(small_rows, found, tmp_path, monkeypatch):
    """At a constant rate, a range of nearly no width is the run itself."""
    seen = []
    execute = CompiledStep.__call__

    def watched(*arguments):
        metrics = execute(*arguments)
        seen.extend(step.loss for step in metrics)
        return metrics

    constant = replace(CONFIG, schedule="constant", warmup_share=0.0, learning_rate=1e-3)
    with monkeypatch.context() as patch:
        patch.setattr(CompiledStep, "__call__", watched)
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", constant)
    same = found_on(small_rows, constant, FindRateConfig(1e-3, 1e-3 * (1 + 1e-6)))
    np.testing.assert_allclose(same.curve.losses_N, seen, rtol=1e-4)
    assert same.curve.losses_N[0] == found.curve.losses_N[0] == seen[0], "before the first update"


def test_same_seed_same_curve(small_rows, found):
    again, other = found_on(small_rows), found_on(small_rows, replace(CONFIG, seed=1))
    np.testing.assert_array_equal(again.curve.losses_N, found.curve.losses_N)
    assert not np.array_equal(other.curve.losses_N, found.curve.losses_N)


def test_steps_of_one_execution_have_the_same_curve(small_rows, found):
    """As accelerators take them: the rate is computed within."""
    many = found_on(small_rows, replace(CONFIG, steps_per_execution=7))
    np.testing.assert_array_equal(many.curve.rates_N, found.curve.rates_N)
    np.testing.assert_allclose(many.curve.losses_N, found.curve.losses_N, rtol=1e-5)


def test_two_devices_have_the_same_curve(small_rows, found, tmp_path):
    code = LOGICAL_DEVICES.format(count=2) + IN_A_PROCESS
    assert finish(start_code(code, small_rows, tmp_path / "shared.json", dict(vars(CONFIG)))) == [0]
    shared = json.loads((tmp_path / "shared.json").read_text())
    assert shared["devices"] == 2
    losses = [point["loss"] for point in shared["curve"]]
    np.testing.assert_allclose(losses, found.curve.losses_N[: len(losses)], rtol=1e-3)


def test_a_rate_at_which_training_diverges_ends_the_test(small_rows):
    taken = found_on(small_rows, replace(CONFIG, steps=60), FindRateConfig(1e-3, 1e5)).curve
    assert "the next loss" in taken.stopped
    assert 1 <= len(taken.rates_N) < 60
    assert taken.rates_N[-1] < 1e5


def test_only_the_file_is_written(small_rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files(small_rows)
    taken = found_on(small_rows, out=tmp_path / "rate.json")
    assert files(small_rows) == before
    assert [path.name for path in tmp_path.rglob("*")] == ["rate.json"]
    read = json.loads((tmp_path / "rate.json").read_text())
    assert [point["rate"] for point in read["curve"]] == taken.curve.rates_N.tolist()
    assert set(read["curve"][0]) == {"rate", "loss", "smoothed_loss"}
    assert read["inputs"]["rows"] == load_manifest(small_rows / "rows").identity
    assert (read["config"]["low"], read["config"]["steps"], read["config"]["seed"]) == (1e-5, 20, 0)
    assert (read["suggestion"] is None) == bool(read["no_suggestion"])


def test_nothing_is_written_without_a_file(small_rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = files(small_rows)
    found_on(small_rows)
    assert files(small_rows) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.0, 1e-2, "low 0.0: must be above 0"), (1e-2, 1e-2, "must be below high"), (1e-3, float("inf"), "below high")],
)
def test_ranges_that_cannot_be(low, high, said):
    with pytest.raises(StackbertError, match=said):
        FindRateConfig(low, high)


def test_too_few_steps_are_refused(small_rows):
    with pytest.raises(StackbertError, match="steps 9: a range test needs 10 or more"):
        found_on(small_rows, replace(CONFIG, steps=9))


def test_places_where_nothing_can_be_written_are_refused_before_the_test(small_rows, monkeypatch):
    monkeypatch.setattr("pretrain.measure.find_rate.find_replicas", None)
    with pytest.raises(StackbertError, match="is inside the input"):
        found_on(small_rows, out=small_rows / "rows" / "rate.json")


def test_several_machines_are_refused(small_rows, monkeypatch):
    several = type("Several", (), {"workers": 2})()
    monkeypatch.setattr("pretrain.measure.find_rate.find_replicas", lambda device: several)
    with pytest.raises(StackbertError, match="unset TF_CONFIG"):
        found_on(small_rows)
