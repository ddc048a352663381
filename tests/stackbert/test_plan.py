"""What a whole study takes."""

from dataclasses import replace
from pathlib import Path

import pytest

from finetune.config import CompareConfig
from finetune.measure.rates import FineTuningRates
from pretrain.train.trainer import RunTimes, Trainer
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from stackbert.plan import plan_study
from stackbert.planning.config import StudyPlanConfig
from stackbert.planning.table import StagePlan, StudyPlan
from stackbert.study import Study, load_study, run_study

QUICK = StudyPlanConfig(seconds=0.1, sample_rows=400)
RATES = FineTuningRates(
    loading=1, compiling=2, encoding=0.01, head=0.001, training=0.1, saving=5, disk=10, memory=0, tokens=20
)


@pytest.fixture
def study(tiny_base, tmp_path) -> Study:
    """800 posts, two vocabularies, no baselines."""
    lines = ["title,tags"]
    for number in range(800):
        tag = ("c++", "mysql")[number % 2]
        lines.append(f"how to sort the rows of table {number} and print list {number * 7} in {tag},{tag}")
    (tmp_path / "posts.csv").write_text("\n".join(lines), "utf-8")
    (tmp_path / "study.toml").write_text(
        f"""
out = '{tmp_path}/out'
data = '{tmp_path}'
[corpora.posts]
source = 'table'
path = 'posts.csv'
title_column = 'title'
tags_column = 'tags'
[labels]
num_labels = 2
max_train = 100
[tokenizer]
vocab_size = 90
[encode]
row_length = 16
validation_share = 0.2
[pretrain]
base = '{tiny_base}'
steps = 10
batch_rows = 2
validation_rows = 8
precision = 'float32'
[compare]
seeds = [0, 1]
tfidf = false
word_vectors = false
[compare.recipe]
max_length = 16
head_epochs = 2
epochs = 3
precision = 'float32'
""",
        "utf-8",
    )
    return load_study(tmp_path / "study.toml")


@pytest.fixture
def made_up_times(monkeypatch) -> None:
    """Nothing is trained: the seconds of its parts are made up, in this process."""
    for room in ("comparison", "pretraining"):
        monkeypatch.setattr(
            f"stackbert.planning.{room}.run_apart", lambda function, *arguments, **_: function(*arguments)
        )
    monkeypatch.setattr(Trainer, "measure", lambda *_: RunTimes(preparation=1.0, step=1.0, evaluation=1.0))
    monkeypatch.setattr("stackbert.planning.comparison.measure_fine_tuning", lambda *_: RATES)


def by_name(plan: StudyPlan) -> dict[str, StagePlan]:
    return {stage.name: stage for stage in plan.stages}


def files(folder: Path) -> list[str]:
    return sorted(path.as_posix() for path in folder.rglob("*"))


def test_every_stage_of_a_study_is_planned_and_nothing_is_written(study, tiny_base, tmp_path, made_up_times):
    before = files(tmp_path)
    plan = plan_study(replace(study, merged=0.5), replace(QUICK, price_here=3.6))
    assert files(tmp_path) == before
    kinds = ("generic-vocabulary", "code-aware-vocabulary")
    base, own = str(tiny_base), f"{tiny_base} adapted, code-aware vocabulary"
    names = ["corpora/posts", "labels", "tokenizer", *(f"rows/{kind}" for kind in kinds)]
    names += [f"{stage}/{kind}" for kind in kinds for stage in ("pretrained", "merged")]
    systems = [base, f"{base} adapted", f"{base} adapted, merged with the base", own, f"{own}, merged with the base"]
    assert list(by_name(plan)) == [*names, *(f"comparison: {name}" for name in systems)]
    assert all(stage.seconds[0] > 0 and not stage.done for stage in plan.stages)
    assert by_name(plan)["labels"].work.startswith("100 train")
    assert "Early stopping" not in str(plan) and "early stopping" in str(plan)
    assert "\ntotal " in str(plan)


@pytest.mark.slow
def test_a_study_is_measured_in_processes_of_their_own(study):
    plan = plan_study(study, QUICK)
    assert all(stage.seconds[0] > 0 for stage in plan.stages)
    measured = [stage for stage in plan.stages if stage.name.startswith(("pretrained", "comparison"))]
    assert len(measured) == 5 and all(stage.memory > 100 << 20 for stage in measured)


def test_trials_at_further_sizes_and_of_exports_are_counted(study, made_up_times):
    own = f"comparison: {study.pretrain.base} adapted, code-aware vocabulary"
    plain = by_name(plan_study(study, QUICK))
    dev, test = (int(text.split()[0].replace(",", "")) for text in plain["labels"].work.split(", ")[1:])
    config = study.compare.recipe
    whole, small = (RATES.seconds((train, dev, test), config, 2) for train in (100, 20))
    assert plain[own].seconds[0] == pytest.approx(whole + RATES.saving)
    more = replace(
        study,
        pretrain=replace(study.pretrain, exports=2),
        compare=replace(study.compare, label_sizes=(20,), include_exports=True),
    )
    compiled = 3 * whole + small - RATES.compiling  # the second export has the shapes of the first
    assert by_name(plan_study(more, QUICK))[own].seconds[0] == pytest.approx(compiled + RATES.saving)


def test_finished_stages_are_done_and_tell_what_is_not(study, monkeypatch, made_up_times):
    monkeypatch.setattr("finetune.compare.compare.compare", lambda *_: None)
    epochs = replace(study, pretrain=replace(study.pretrain, steps=0, epochs=1.0, validation_rows=4))
    estimated = by_name(plan_study(epochs, QUICK))
    run_study(study)
    stages = by_name(plan_study(study, QUICK))
    assert [name for name, stage in stages.items() if not stage.done] == [
        name for name in stages if name.startswith("comparison")
    ]
    assert all(stage.seconds == (0.0,) for stage in stages.values() if stage.done)
    rows = load_manifest(Path(study.out) / "rows" / "generic-vocabulary").counts["train"]["rows"]
    steps = int(estimated["pretrained/generic-vocabulary"].work.split(", ")[1].split()[0])
    assert steps == pytest.approx(rows / 2, rel=0.1), "the rows of the whole text, from a sample of half of it"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pretrain": {"steps": 0, "minutes": 5.0}}, "minutes: a plan estimates the duration"),
        ({"compare": {"baseline": "other"}}, "baseline 'other' is not among the systems"),
        ({"data": "/nowhere"}, r"posts\.csv: no such file"),
    ],
)
def test_what_run_refuses_is_refused_before_anything_is_measured(change, message, study, monkeypatch):
    monkeypatch.setattr("stackbert.planning.text.run_samples", None)
    changed = {
        name: replace(getattr(study, name), **value) if isinstance(value, dict) else value
        for name, value in change.items()
    }
    with pytest.raises(StackbertError, match=message):
        plan_study(replace(study, **changed), QUICK)


def test_batches_that_a_slice_cannot_share_are_refused(study, monkeypatch):
    monkeypatch.setattr("pretrain.measure.plan.check_compiler", lambda python: None)
    wide = replace(study, pretrain=replace(study.pretrain, batch_rows=8))
    recipe = replace(study.compare.recipe, batch_size=6)
    plan = replace(QUICK, topologies=("v5e:2x2",))
    with pytest.raises(StackbertError, match="batch_rows 2: must be a multiple of the 4 chips"):
        plan_study(study, plan)
    with pytest.raises(StackbertError, match="batch_size 6: must be a multiple of the 4 chips"):
        plan_study(replace(wide, compare=CompareConfig(recipe=recipe)), plan)


def test_finished_stages_of_other_settings_are_refused(study, monkeypatch):
    monkeypatch.setattr("tokenizer.vocabulary.train.train_tokenizer", _stop)
    with pytest.raises(InterruptedError):
        run_study(study)
    monkeypatch.setattr("stackbert.planning.text.run_samples", None)
    other = replace(study, labels=replace(study.labels, max_train=50))
    with pytest.raises(StackbertError, match="max_train: 100 -> 50"):
        plan_study(other, QUICK)


def test_a_sample_that_is_too_small_says_so(study):
    with pytest.raises(StackbertError, match=r"too small a sample: .*; raise sample_rows, now 4"):
        plan_study(study, replace(QUICK, sample_rows=4))


def test_text_that_is_too_small_for_a_plan_is_not_to_be_sampled_more(study, monkeypatch):
    monkeypatch.setattr("stackbert.planning.samples.THINNING", 1_000)
    with pytest.raises(StackbertError, match=r"too small a sample: .*; so little text needs no plan: run the study"):
        plan_study(study, replace(QUICK, sample_rows=1_000_000))


def _stop(*_: object) -> None:
    raise InterruptedError
