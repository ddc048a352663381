"""The gain of comparisons from more labels and from more pretraining."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.compare.compare import compare
from finetune.compare.comparison import load_comparison
from finetune.compare.gains import _exported_tokens, exported_checkpoints
from finetune.trials.systems import VECTORS, System
from finetune.trials.task import Task
from pretrain.config import PretrainConfig
from pretrain.run import run_pretraining
from stackbert.core.artifact import build_artifact
from tests.finetune.questions import LABELS, WITHOUT_BASELINES, load_splits


def test_gain_against_labels_has_a_point_for_each_size_and_for_all_texts(
    finished, labelled, tiny_base, config, tmp_path
):
    settings = replace(config, label_sizes=(120, 60), tfidf=False, baseline=VECTORS, seeds=(0,), reuse=(str(finished),))
    compare(labelled, {"generic": str(tiny_base)}, tmp_path / "out", settings)
    comparison = load_comparison(tmp_path / "out")
    assert [gain.name for gain in comparison.gain_against_labels] == [VECTORS, "generic"]
    for gain, system in zip(comparison.gain_against_labels, comparison.systems, strict=True):
        assert [point.texts for point in gain.points] == [60, 120, 240]
        assert gain.points[-1].weighted_f1 == system.metrics["weighted_f1"]
        assert gain.points[-1].phases == system.phases
        assert [point.phases.whole.weighted_f1 for point in gain.points] == [each.weighted_f1 for each in gain.points]
        assert gain.points[-1].against_baseline == system.against_baseline
        saved = [point.labels_saved for point in gain.points]
        assert all(each is None for each in saved) if gain.name == VECTORS else all(saved)
        found = [point.against_baseline for point in gain.points]
        assert all(each is None for each in found) if gain.name == VECTORS else all(found)
    assert [system.against_baseline is None for system in comparison.systems] == [True, False]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Gain from more labels or more pretraining" in page


def test_smaller_training_sets_are_subsets_of_larger_ones(labelled):
    task = Task(LABELS, load_splits(labelled))
    ids = [set(task.with_train_size(size).splits["train"].ids) for size in (10, 50)]
    assert [len(each) for each in ids] == [10, 50]
    assert ids[0] < ids[1] < set(task.splits["train"].ids)


def test_exported_checkpoints_are_points_of_the_gain_against_tokens(
    finished, labelled, tiny_base, small_rows, config, tmp_path
):
    run = PretrainConfig(
        base=str(tiny_base), extend_positions=True, steps=6, batch_rows=2, exports=1, evaluations=1, validation_rows=4
    )
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "adapted", run)
    checkpoints = {"generic": str(tiny_base), "adapted": str(tmp_path / "adapted")}
    settings = replace(config, include_exports=True, seeds=(0,), reuse=(str(finished),), **WITHOUT_BASELINES)
    compare(labelled, checkpoints, tmp_path / "out", settings)
    comparison = load_comparison(tmp_path / "out")
    (gain,) = comparison.gain_against_tokens
    assert gain.name == "adapted"
    tokens = [point.tokens for point in gain.points]
    assert tokens == [0, tokens[-1] // 2, tokens[-1]]
    assert [system.adapted_tokens for system in comparison.systems] == [None, tokens[-1]]
    ends = [point.weighted_f1 for point in (gain.points[0], gain.points[-1])]
    assert ends == [system.metrics["weighted_f1"] for system in comparison.systems]
    assert [point.against_baseline is None for point in gain.points] == [True, False, False]


def test_exported_checkpoints_come_in_order_of_their_steps(tmp_path):
    for step in (10, 9, 100):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
    assert [path.name for path in exported_checkpoints(str(tmp_path))] == ["step-9", "step-10", "step-100"]
    assert exported_checkpoints("minilm") == []


@pytest.mark.parametrize(("counts", "tokens"), [({}, 80), ({"exported_step": 4}, 40)])
def test_the_last_checkpoint_stands_at_the_tokens_of_its_weights(counts, tokens, tmp_path):
    def train(folder: Path) -> dict[str, int]:
        points = [{"step": step, "tokens": 10 * step} for step in (0, 4, 8)]
        (folder / "history.json").write_text(json.dumps(points), "utf-8")
        return counts

    build_artifact(tmp_path / "run", "pretrain run", {}, {}, train)
    assert _exported_tokens(System("adapted", "checkpoint", str(tmp_path / "run"))) == tokens
