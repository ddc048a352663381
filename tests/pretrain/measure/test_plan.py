"""Estimates for a run before it begins."""

import os
from dataclasses import replace

import pytest

from pretrain.config import PretrainConfig
from pretrain.measure.config import PretrainPlanConfig
from pretrain.measure.plan import GIB, Estimate, Plan, plan_pretraining
from pretrain.train.trainer import RunTimes, Trainer
from stackbert.core.errors import StackbertError
from tokenizer.encoding.packed_rows import load_rows
from tokenizer.encoding.reader import load_reader

CONFIG = PretrainConfig(base="random-tiny", steps=50, batch_rows=4, precision="float32", validation_rows=8)
QUICK = PretrainPlanConfig(seconds=0.1)
PYTHON = os.environ.get("STACKBERT_TPU_PYTHON", "")


def planned(made, config: PretrainConfig = CONFIG, plan: PretrainPlanConfig = QUICK) -> Plan:
    return plan_pretraining(made / "rows", made / "tokenizer", config, plan)


def test_size_of_a_run_and_what_it_takes_here(small_rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = planned(small_rows, plan=replace(QUICK, price_here=3.6))
    rows = load_rows(small_rows / "rows", "train")
    assert (found.steps, found.tokens) == (50, 50 * 4 * 32)
    assert found.epochs == pytest.approx(50 * 4 / len(rows.ids))
    (here,) = found.estimates
    assert here.hours * 3600 > found.tokens / here.tokens_per_second
    assert here.cost == pytest.approx(3.6 * here.hours)
    assert found.disk > 10 * 4 * 120 * 128
    assert list(tmp_path.iterdir()) == [], "nothing is written"


@pytest.fixture
def times(monkeypatch):
    """Nothing is trained: seconds of a run's parts are made up."""
    monkeypatch.setattr(Trainer, "measure", lambda *_: RunTimes(preparation=1.0, step=1.0, evaluation=1.0))


def test_hours_are_those_of_preparation_steps_and_evaluations(small_rows, times):
    (here,) = planned(small_rows).estimates
    assert here.tokens_per_second == 4 * 32
    assert here.hours * 3600 > 1 + 50 + 7, "5 evaluations, and those before and after"


def test_a_step_that_a_cpu_takes_minutes_for_is_measured_in_small(small_rows, monkeypatch):
    """By a batch of 64 tokens, of which the run's is two; validation in proportion."""
    measured = []

    def measure(trainer, seconds):
        measured.append(trainer.batch_tokens)
        return RunTimes(preparation=1.0, step=3.0, evaluation=0.5)

    monkeypatch.setattr(Trainer, "measure", measure)
    monkeypatch.setattr("pretrain.measure.plan.SMALL_STEP_TOKENS", 64)
    monkeypatch.setattr("pretrain.measure.plan.LARGE_STEP", 1.0)
    config = replace(CONFIG, evaluations=0)
    (here,) = planned(small_rows, config).estimates
    assert measured == [64]
    assert here.tokens_per_second == 4 * 32 / 6.0
    seconds = 1 + 50 * 6 + 2 * 0.5 * 8 / 2
    assert seconds <= here.hours * 3600 < seconds + 30, "the rest is loading"


def test_epochs_are_of_the_whole_text_where_the_rows_are_a_sample(small_rows, times):
    rows = load_rows(small_rows / "rows", "train")
    config = replace(CONFIG, steps=0, epochs=2.0)
    own = planned(small_rows, config)
    whole = planned(small_rows, config, replace(QUICK, text_gigabytes=10 * rows.text_bytes / 1e9))
    assert own.steps == -(-2 * len(rows.ids) // 4)
    assert whole.steps == pytest.approx(10 * own.steps, abs=10)
    assert whole.epochs == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("phase", ["embeddings_first", "new_rows_first"])
def test_disk_holds_the_moments_of_a_first_phase(phase, small_rows, times):
    plain, first = (planned(small_rows, replace(CONFIG, **{phase: share})) for share in (0.0, 0.1))
    vocab_size = load_reader(small_rows / "tokenizer").vocab_size
    head = 128 * 128 + 128 + 2 * 128 + vocab_size
    assert first.disk - plain.disk == 3 * 2 * 4 * (vocab_size * 128 + head)


def test_one_machine_is_planned_for(small_rows, monkeypatch):
    several = type("Several", (), {"workers": 2})()
    monkeypatch.setattr("pretrain.measure.plan.find_replicas", lambda device: several)
    with pytest.raises(StackbertError, match="measures one machine: unset TF_CONFIG"):
        planned(small_rows)


def test_length_in_minutes_cannot_be_planned(small_rows):
    with pytest.raises(StackbertError, match="set tokens, steps or epochs"):
        planned(small_rows, replace(CONFIG, steps=0, minutes=3.0))


@pytest.mark.parametrize(("topology", "said"), [("v5e:2x4", "multiple of the 8 chips"), ("v5e", "such as v5e")])
def test_slices_that_cannot_be_are_refused_before_anything_is_timed(topology, said, small_rows, monkeypatch):
    monkeypatch.setattr("pretrain.measure.plan.Trainer", None)
    with pytest.raises(StackbertError, match=said):
        planned(small_rows, plan=replace(QUICK, topologies=("v5e:2x2", topology)))


def test_table_names_what_is_too_large():
    fitting = Estimate("v5e:2x2", 1_000.0, 2.0, GIB, True, 12.5)
    large = Estimate("v6e:1x1", 0.0, 0.0, 40 * GIB, False, None)
    lines = str(Plan(1_000, 10, 0.5, GIB, (fitting, large))).splitlines()
    assert (
        lines[0]
        == "1,000 tokens: 10 steps, 0.50 epochs; 1.0 GiB of disk for packed rows, training states and checkpoints"
    )
    assert lines[2].split() == ["v5e:2x2", "1,000", "2.00", "1.00", "12.50"]
    assert lines[3].split() == ["v6e:1x1", "too", "large", "40.00"]


@pytest.mark.tpu
@pytest.mark.skipif(not PYTHON, reason="STACKBERT_TPU_PYTHON names no compiler")
def test_plan_for_a_slice_follows_from_the_roofline(small_rows):
    plan = replace(QUICK, topologies=("v5e:2x2",), price_chip=1.2, roofline_share=0.5, compiler_python=PYTHON)
    found = planned(small_rows, plan=plan)
    there = found.estimates[1]
    assert there.fits
    assert there.hours == pytest.approx(found.tokens / there.tokens_per_second / 3600)
    assert there.cost == pytest.approx(4 * 1.2 * there.hours)
