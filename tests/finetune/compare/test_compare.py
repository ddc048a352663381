"""A whole comparison of tiny checkpoints."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers import ByteLevelBPETokenizer

from corpora.labels.labelled_set import load_labelled
from finetune.compare import trials as cells
from finetune.compare.compare import _with_precision, compare
from finetune.compare.systems import CLEANED, LINEAR, VECTORS
from finetune.config import FinetuneConfig
from finetune.deploy.bundle import load_bundle
from finetune.deploy.model_card import write_model_card
from finetune.metrics.metrics import DEFINITIONS
from finetune.metrics.significance import compare_weighted_f1
from pretrain.config import PretrainConfig
from pretrain.model.checkpoint import save_checkpoint
from pretrain.run import run_pretraining
from stackbert.core.errors import StackbertError
from tests.finetune.questions import LABELS, NOISE, WITHOUT_BASELINES, load_splits
from tests.pages import browser_page
from tests.pretrain.tiny import tiny_checkpoint


@pytest.fixture(scope="module")
def finished(labelled, rows, config, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("comparison") / "out"
    compare(labelled, rows, out, config)
    return out


def test_outputs_are_all_there(finished):
    names = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    assert {"comparison.json", "comparison.md", "report.html", "manifest.json"} <= names
    for row in ("generic", "adapted"):
        assert {f"cells/{row}/seed-{seed}/cell.json" for seed in (0, 1)} <= names
        assert f"models/{row}/model.safetensors" in names


def test_comparison_holds_a_row_for_each_with_every_metric(finished):
    comparison = json.loads((finished / "comparison.json").read_text("utf-8"))
    assert [row["name"] for row in comparison["rows"]] == [LINEAR, VECTORS, "generic", "adapted"]
    for row in comparison["rows"]:
        assert row["metrics"].keys() == DEFINITIONS.keys()
        assert len(row["metrics"]["weighted_f1"]["values"]) == (1 if row["name"] == LINEAR else 2)
        assert (row["against_baseline"] is None) == (row["name"] == "generic")
        assert [entry["label"] for entry in row["per_label"]] == list(LABELS)
    assert comparison["baseline"] == "generic"
    assert comparison["data"]["test"] == 60
    assert comparison["verdict"]


def test_kept_model_gives_the_scores_of_the_first_seed(finished, labelled):
    bundle = load_bundle(finished / "models" / "generic")
    test = load_splits(labelled)["test"]
    first = np.load(finished / "cells" / "generic" / "seed-0" / "test.npy")
    for prediction, scores in zip(bundle.predict(test.texts[:5]), first, strict=False):
        found = {label.name: label.score for label in prediction}
        assert found.keys() == set(LABELS)
        np.testing.assert_allclose([found[name] for name in LABELS], scores, atol=1e-5)


def test_kept_model_has_a_card(finished):
    card = (finished / "models" / "generic" / "README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: transformers")
    for part in (
        "| mysql | 0.",
        "- train texts: 240",
        "not recorded",
        "| weighted_f1 | ",
        "## Limits",
        "- head_epochs: 2",
    ):
        assert part in card


def test_card_of_a_classifier_that_reads_parts_sends_nobody_to_transformers(tmp_path):
    write_model_card(tmp_path, "base", FinetuneConfig(code_tokens=9), ("a",), np.array([0.5]), {}, {})
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "stackbert finetune predict" in card
    assert "AutoModelForSequenceClassification" not in card


def test_finished_comparison_is_not_made_again(finished, labelled, rows, config, monkeypatch):
    monkeypatch.setattr("finetune.compare.compare.run_checkpoint", None)
    compare(labelled, rows, finished, config)


def test_same_checkpoint_under_two_names_makes_no_difference(labelled, tiny_base, config, tmp_path):
    rows = {"one": str(tiny_base), "two": str(tiny_base)}
    compare(labelled, rows, tmp_path / "out", replace(config, **WITHOUT_BASELINES))
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert comparison["rows"][1]["against_baseline"]["difference"] == 0
    assert comparison["rows"][1]["against_baseline"]["verdict"] == "no difference"
    assert "No gain is shown" in comparison["verdict"]


def test_other_seeds_of_the_same_checkpoint_make_no_difference(labelled, tiny_base, config, tmp_path):
    """Not by construction, as with the same seeds: two sets of trainings that differ by chance alone."""
    sides = []
    for number, seeds in enumerate(((0, 1, 2), (3, 4, 5))):
        out = tmp_path / str(number)
        compare(labelled, {"one": str(tiny_base)}, out, replace(config, seeds=seeds, **WITHOUT_BASELINES))
        found = [cells.load_cell(out / "cells" / "one" / f"seed-{seed}") for seed in seeds]
        sides.append([(cell.test_NL, cell.thresholds_L) for cell in found])
    targets_NL = load_labelled(labelled, "test").targets
    against = compare_weighted_f1(targets_NL, *sides, resamples=200)
    assert against["difference"] != 0
    assert against["verdict"] == "no difference"


def test_precision_of_the_earlier_comparison_is_kept_with_its_cells(tmp_path):
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "precision.json").write_text('"bfloat16"')
    decided = _with_precision(FinetuneConfig(), tmp_path / "precision.json", [str(tmp_path / "earlier")])
    assert decided.precision == "bfloat16"
    asked = _with_precision(FinetuneConfig(precision="float32"), tmp_path / "asked.json", [str(tmp_path / "earlier")])
    assert asked.precision == "float32"


def test_cells_of_an_earlier_comparison_are_taken_over(finished, labelled, rows, config, tmp_path, monkeypatch, capsys):
    made: list[str] = []
    keep = cells._kept
    monkeypatch.setattr(cells, "_kept", lambda folder, *rest: made.append(folder.name) or keep(folder, *rest))
    another = replace(config, title="Other", seeds=(0, 1, 2), **WITHOUT_BASELINES)
    compare(labelled, {"renamed": rows["generic"]}, tmp_path / "out", replace(another, reuse=(str(finished),)))
    assert made == ["seed-2"]
    assert "2 of 3 cells taken over" in capsys.readouterr().err
    for before, now in (
        ("cells/generic/seed-0", "cells/renamed/seed-0"),
        ("cells/generic/seed-1", "cells/renamed/seed-1"),
    ):
        assert (tmp_path / "out" / now / "test.npy").read_bytes() == (finished / before / "test.npy").read_bytes()
    assert load_bundle(tmp_path / "out" / "models" / "renamed").labels == list(LABELS)
    compare(labelled, {"renamed": rows["generic"]}, tmp_path / "out", another)  # the same comparison, wherever from
    assert made == ["seed-2"]


class KilledError(Exception):
    """Stands for a process that ends at once."""


@pytest.mark.parametrize("before_the_first_is_kept", [True, False])
def test_interrupted_comparison_goes_on_with_the_missing_cells(
    before_the_first_is_kept, finished, labelled, rows, config, tmp_path, monkeypatch
):
    row = {"generic": rows["generic"]}
    kept: list[Path] = []
    keep = cells._kept

    def keep_then_die(folder, summary, test_NL):
        if before_the_first_is_kept and folder.name == "seed-0":
            raise KilledError
        kept.append(folder)
        cell = keep(folder, summary, test_NL)
        if folder.name == "seed-0":
            raise KilledError
        return cell

    def keep_and_note(folder, summary, test_NL):
        kept.append(folder)
        return keep(folder, summary, test_NL)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "_kept", keep_then_die)
        with pytest.raises(KilledError):
            compare(labelled, row, tmp_path / "out", replace(config, **WITHOUT_BASELINES))
    assert not (tmp_path / "out").exists()
    assert len(kept) == (0 if before_the_first_is_kept else 1)
    monkeypatch.setattr(cells, "_kept", keep_and_note)
    compare(labelled, row, tmp_path / "out", replace(config, **WITHOUT_BASELINES))
    assert len(kept) == len(set(kept)) == 2
    for name in ("generic/seed-0", "generic/seed-1"):
        one, two = (np.load(folder / "cells" / name / "test.npy") for folder in (finished, tmp_path / "out"))
        np.testing.assert_array_equal(one, two)


def test_features_are_computed_once_for_all_seeds_and_their_compilation_is_not_timed(
    labelled, tiny_base, config, tmp_path, monkeypatch
):
    compiled: list[bool] = []
    encode = cells.encode_split
    monkeypatch.setattr(
        cells, "encode_split", lambda *args: compiled.append(bool(args[0]._pooled_of_rows)) or encode(*args)
    )
    short = replace(config, **WITHOUT_BASELINES, recipe=replace(config.recipe, max_length=5))
    compare(labelled, {"one": str(tiny_base)}, tmp_path / "out", short)
    assert compiled == [True] * 3  # train, dev and test
    (row,) = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))["rows"]
    assert row["share_cut"] == 1
    assert row["tokens_per_text"] > 5


def test_loss_that_is_not_a_number_names_checkpoint_and_seed(labelled, tiny_base, config, tmp_path, monkeypatch):
    def broken(self, seed):
        raise StackbertError("epoch 1, step 2: the loss is nan")

    monkeypatch.setattr(cells.WholeTraining, "run", broken)
    with pytest.raises(StackbertError, match=re.escape(f"{tiny_base}, seed 0: epoch 1, step 2: the loss is nan")):
        compare(labelled, {"one": str(tiny_base)}, tmp_path / "out", replace(config, **WITHOUT_BASELINES))


def test_rows_on_cleaned_texts_and_at_fewer_labels(labelled, rows, config, tmp_path):
    row = {"generic": rows["generic"]}
    settings = replace(config, cleaned=True, label_sizes=(120, 60), tfidf=False, baseline=VECTORS)
    compare(labelled, row, tmp_path / "out", settings)
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    names = [VECTORS, "generic", "generic" + CLEANED]
    assert [row["name"] for row in comparison["rows"]] == names
    assert [gain["name"] for gain in comparison["gain_against_labels"]] == names
    for gain, row in zip(comparison["gain_against_labels"], comparison["rows"], strict=True):
        assert [point["texts"] for point in gain["points"]] == [60, 120, 240]
        assert gain["points"][-1]["weighted_f1"] == row["metrics"]["weighted_f1"]
        assert gain["points"][-1]["against_baseline"] == row["against_baseline"]
        found = [point["against_baseline"] for point in gain["points"]]
        assert all(each is None for each in found) if gain["name"] == VECTORS else all(found)
    assert [row["against_baseline"] is None for row in comparison["rows"]] == [True, False, False]
    assert [path.name for path in (tmp_path / "out" / "models").iterdir()] == ["generic"]  # read no cleaned text later
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "What more labels, or more pretraining, bring" in page


def test_smaller_training_sets_are_parts_of_larger_ones(labelled):
    task = cells.Task(LABELS, load_splits(labelled))
    ids = [set(task.smaller(size).splits["train"].ids) for size in (10, 50)]
    assert [len(each) for each in ids] == [10, 50]
    assert ids[0] < ids[1] < set(task.splits["train"].ids)


def test_checkpoints_kept_along_a_pretraining_are_points_of_its_gain(labelled, tiny_base, small_rows, config, tmp_path):
    run = PretrainConfig(
        base=str(tiny_base), extend_positions=True, steps=6, batch_rows=2, exports=2, evaluations=1, validation_rows=4
    )
    run_pretraining(small_rows / "rows", small_rows / "tokenizer", tmp_path / "adapted", run)
    checkpoints = {"generic": str(tiny_base), "adapted": str(tmp_path / "adapted")}
    compare(labelled, checkpoints, tmp_path / "out", replace(config, include_exports=True, **WITHOUT_BASELINES))
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    gain = comparison["gain_against_tokens"][0]
    assert gain["name"] == "adapted"
    tokens = [point["tokens"] for point in gain["points"]]
    assert tokens == [0, tokens[-1] // 3, 2 * tokens[-1] // 3, tokens[-1]]
    ends = [point["weighted_f1"] for point in (gain["points"][0], gain["points"][-1])]
    assert ends == [row["metrics"]["weighted_f1"] for row in comparison["rows"]]
    assert [point["against_baseline"] is None for point in gain["points"]] == [True, False, False, False]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_report_opens_in_a_browser_without_an_error_or_overflow(width, finished):
    with browser_page(width) as (page, said):
        page.goto((finished / "report.html").as_uri())
        assert page.inner_text("h1")
        assert page.locator("img").count() > 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []


def published_roberta(folder: Path) -> Path:
    """A checkpoint with the files that RoBERTa and CodeBERT are published with: vocab.json and merges.txt."""
    folder.mkdir()
    trained = ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        [" ".join(NOISE), *LABELS], vocab_size=320, special_tokens=specials, show_progress=False
    )
    checkpoint = tiny_checkpoint("roberta", vocab_size=trained.get_vocab_size())
    save_checkpoint(checkpoint, folder, folder)
    trained.save_model(str(folder))
    names = {"tokenizer_class": "RobertaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "model_max_length": 18}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def published_distilbert(folder: Path, vocabulary: Path) -> Path:
    """A checkpoint with the files that DistilBERT is published with: vocab.txt."""
    folder.mkdir()
    save_checkpoint(tiny_checkpoint("distilbert", vocab_size=120), folder, folder)
    (folder / "vocab.txt").write_bytes(vocabulary.read_bytes())
    names = {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True, "model_max_length": 20}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def test_layouts_of_other_families_go_through_the_whole_comparison(labelled, small_rows, tiny_base, config, tmp_path):
    rows = {
        "bert": str(tiny_base),
        "roberta": str(published_roberta(tmp_path / "roberta")),
        "distilbert": str(published_distilbert(tmp_path / "distilbert", small_rows / "tokenizer" / "vocab.txt")),
    }
    one_seed = replace(config, seeds=(0,), **WITHOUT_BASELINES)
    compare(labelled, rows, tmp_path / "out", one_seed)
    comparison = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert [row["name"] for row in comparison["rows"]] == list(rows)
    for name in rows:
        (labels,) = load_bundle(tmp_path / "out" / "models" / name).predict(["sort the rows of node.js"])
        assert {label.name for label in labels} == set(LABELS)
