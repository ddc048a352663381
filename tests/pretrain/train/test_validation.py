"""Runs with a probe: whose weights are exported, when they stop, and that they resume exactly."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from corpora.labels.labelled_set import load_labelled
from finetune.embed import embed
from pretrain.config import PretrainConfig
from pretrain.model.checkpoint import load_checkpoint, save_checkpoint, with_positions
from pretrain.probe.linear_probe import dev_weighted_f1
from pretrain.probe.probe import Probe
from pretrain.run import run_pretraining
from pretrain.train.validation import TrainingError
from stackbert.core.artifact import ArtifactError, load_manifest
from tests.finetune.questions import write_labelled
from tests.pretrain.objectives.objective_runs import encoded
from tests.pretrain.processes import finish, start, start_workers
from tests.pretrain.runs import STEPS, config, copied_after_each_step, fingerprint, killed_after
from tests.tokenizer.tagged import paired_set

EVERY = 4
"""Steps from one evaluation to the next."""


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled") / "set")


@pytest.fixture(scope="module")
def settings(labelled) -> PretrainConfig:
    return config(
        probe_labels=str(labelled),
        stop_by="probe",
        probe_patience=0,
        evaluations=STEPS // EVERY - 1,
        learning_rate=0.02,
    )


def points(out: Path) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads((out / "history.json").read_text())
    return found


def scripted(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """The probes of later runs score so, one after another."""
    following = iter(scores)
    monkeypatch.setattr(Probe, "score", lambda self, vectors_of: next(following))


@pytest.fixture(scope="module")
def probed(small_rows, settings, tmp_path_factory) -> tuple[Path, Path]:
    """The output of a run that the probe chooses from, and its staging folders as if killed after each step."""
    folder = tmp_path_factory.mktemp("probed")
    with pytest.MonkeyPatch.context() as patch, copied_after_each_step(folder / "run", folder / "copies", patch):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", folder / "run", settings)
    return folder / "run", folder / "copies"


def test_the_exported_weights_are_those_of_the_best_evaluation(probed, labelled):
    history = points(probed[0])
    assert [point["step"] for point in history] == list(range(0, STEPS + 1, EVERY))
    scores = [point["dev_weighted_f1"] for point in history]
    counts = load_manifest(probed[0]).counts
    assert counts["exported_step"] == history[int(np.argmax(scores))]["step"]
    assert counts["validation_after"]["dev_weighted_f1"] == max(scores) > min(scores)
    splits = {split: load_labelled(labelled, split) for split in ("train", "dev")}
    vectors = {split: embed(given.texts, probed[0], pooling="mean") for split, given in splits.items()}
    found = dev_weighted_f1(vectors["train"], splits["train"].targets, vectors["dev"], splits["dev"].targets)
    assert found == pytest.approx(max(scores), abs=1e-6)


@pytest.mark.parametrize("stop", [3, EVERY, 4 * EVERY + 1])
def test_a_killed_run_with_a_probe_resumes_to_the_same_bytes(stop, probed, small_rows, settings, tmp_path):
    shutil.copytree(probed[1] / str(stop), tmp_path / "run.partial")
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", settings)
    assert fingerprint(tmp_path / "run") == fingerprint(probed[0])
    counts = [load_manifest(run).counts for run in (tmp_path / "run", probed[0])]
    assert counts[0] == counts[1]


def test_a_probe_without_stop_by_only_watches(straight, small_rows, labelled, tmp_path):
    watched = config(probe_labels=str(labelled))
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", watched)
    weights = [(run / "model.safetensors").read_bytes() for run in (straight, tmp_path / "run")]
    assert weights[0] == weights[1]
    assert all(0 < point["dev_weighted_f1"] <= 1 for point in points(tmp_path / "run"))
    assert "exported_step" not in made.counts and set(made.inputs) == {"rows", "tokenizer", "probe_labels"}


def test_the_run_ends_when_the_patience_is_used_up(small_rows, settings, tmp_path, monkeypatch, capsys):
    arguments = small_rows / "rows", small_rows / "tokenizer"
    patient = PretrainConfig(**vars(settings) | {"probe_patience": 2})
    scripted(monkeypatch, [0.5, 0.6, 0.6, 0.4])
    with killed_after(9, monkeypatch):
        run_pretraining(*arguments, tmp_path / "run", patient)
    made = run_pretraining(*arguments, tmp_path / "run", patient)
    assert [point["step"] for point in points(tmp_path / "run")] == [0, 4, 8, 12]
    assert (made.counts["steps"], made.counts["exported_step"]) == (12, 4)
    assert made.counts["tokens"] == 3 * made.counts["total_tokens"] == 12 * 4 * 32
    said = (
        "weights of step 4, whose weighted F1 on dev 0.6000 is the best of 4 evaluations (step 0: 0.5000); the run "
        "ended at step 12, of 24, after 2 evaluations without a better one"
    )
    assert said in made.counts["notes"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert said in card and "probe's weighted F1 on dev" in card
    assert "probe's weighted F1 on dev 0.4000 (step 0: 0.5000)" in capsys.readouterr().out
    assert made.counts["validation_after"]["step"] == 4


def test_a_base_that_training_makes_worse_is_exported_as_it_is(small_rows, tiny_base, settings, tmp_path, monkeypatch):
    base = tmp_path / "base"
    base.mkdir()
    save_checkpoint(with_positions(load_checkpoint(tiny_base), 32), small_rows / "tokenizer", base)
    scripted(monkeypatch, [0.5, 0.4])
    changed = PretrainConfig(**vars(settings) | {"base": str(base), "steps": 2, "evaluations": 0})
    made = run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", changed)
    before, after = load_checkpoint(base).weights, load_checkpoint(tmp_path / "run").weights
    assert made.counts["exported_step"] == 0 and "the end of its budget" in made.counts["notes"][-1]
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)


def test_a_run_that_is_over_but_not_exported_ends_with_the_same_bytes(small_rows, settings, tmp_path, monkeypatch):
    arguments = small_rows / "rows", small_rows / "tokenizer"
    patient = PretrainConfig(**vars(settings) | {"probe_patience": 1})
    scripted(monkeypatch, [0.5, 0.6, 0.5] * 2)
    run_pretraining(*arguments, tmp_path / "straight", patient)

    def die(*_: object) -> None:
        raise KeyError("export")

    with monkeypatch.context() as patch:
        patch.setattr("pretrain.train.exporter.Exporter.export", die)
        with pytest.raises(KeyError):
            run_pretraining(*arguments, tmp_path / "run", patient)
    run_pretraining(*arguments, tmp_path / "run", patient)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "straight")


@pytest.mark.parametrize("shared_by", ["devices", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_run_that_is_shared_chooses_the_same_step(shared_by, probed, small_rows, settings, tmp_path):
    given = dict(vars(settings))
    one = [start(small_rows, tmp_path / "run", given, devices=2)] if shared_by == "devices" else []
    assert not any(finish(*(one or start_workers(small_rows, tmp_path / "run", given))))
    counts, alone = (load_manifest(run).counts for run in (tmp_path / "run", probed[0]))
    assert counts["devices"] == 2
    assert counts["exported_step"] == alone["exported_step"]
    for ours, theirs in zip(points(tmp_path / "run"), points(probed[0]), strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
        assert ours["dev_weighted_f1"] == pytest.approx(theirs["dev_weighted_f1"], abs=0.03)
    after, expected = (load_checkpoint(run).weights["embeddings/word"] for run in (tmp_path / "run", probed[0]))
    np.testing.assert_allclose(after, expected, atol=1e-3)


def test_another_labelled_set_for_the_same_output_is_refused(probed, small_rows, settings, tmp_path):
    other = write_labelled(tmp_path / "other")
    (other / "manifest.json").unlink()
    labels = json.loads((other / "labels.json").read_text())
    (other / "labels.json").write_text(json.dumps(labels[::-1]))
    changed = PretrainConfig(**vars(settings) | {"probe_labels": str(other)})
    with pytest.raises(ArtifactError, match="probe_labels"):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", probed[0], changed)


OBJECTIVES = {
    "causal": {},
    "tags": {"targets": "tags", "min_tag_posts": 3},
    "pairs": {"targets": "pairs", "pair_tokens": 16},
    "words": {"targets": "words", "pair_tokens": 16},
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_phase_of_each_objective_has_a_probe(objective, small_rows, tmp_path):
    labels = paired_set(tmp_path)
    made = encoded(labels, small_rows / "tokenizer", tmp_path, **OBJECTIVES[objective])
    given = config(objective=objective, steps=2, evaluations=0, batch_rows=8, probe_labels=str(labels), stop_by="probe")
    counts = run_pretraining(made / "rows", made / "tokenizer", tmp_path / "run", given).counts
    assert 0 < counts["validation_after"]["dev_weighted_f1"] <= 1
    assert counts["exported_step"] in (0, 2)


@pytest.mark.parametrize("chooses", [True, False])
def test_weights_that_diverged_just_before_an_evaluation_are_an_error(chooses, small_rows, settings, tmp_path):
    """The loss of the step itself, before its update, is still a number."""
    given = dict(vars(settings)) if chooses else {}
    diverging = config(**given | {"learning_rate": 1e38, "warmup_share": 0.0, "evaluations": STEPS, "clip_norm": 1e9})
    with pytest.raises(TrainingError, match=r"validation at step 1: loss nan.*with a lower learning_rate"):
        run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "run", diverging)
