"""A study in miniature differs from the study in sizes only."""

import dataclasses
from typing import Any

import pytest

from stackbert.rehearsal.shrink import TITLE, TRAIN, shrink_study
from stackbert.study import Study, chains_of, load_study
from tests.paths import ROOT

CHANGED = {
    "study": {"out", "corpora", "labels", "tokenizer", "encode", "pretrain", "phases", "adaptations", "compare"},
    "labels": {"labels", "num_labels", "max_train", "max_dev", "max_test", "processes"},
    "tokenizer": {
        *("vocab_size", "extend_by", "lexicon_size", "alphabet_size", "min_count", "validation_share", "processes"),
    },
    "encode": {"max_posts", "validation_share", "min_tag_posts", "processes"},
    "pretrain": {
        *("steps", "epochs", "minutes", "batch_rows", "micro_batch_rows", "evaluations", "exports", "validation_rows"),
        *("steps_per_execution", "device", "state_folder", "transfer_tokens", "probe_labels", "probe_texts"),
    },
    "compare": {"recipe", "seeds", "label_sizes", "resamples", "title", "reuse"},
    "recipe": {"head_epochs", "epochs", "batch_size"},
}
"""What may differ in each section: sizes, where things run, and names of outputs."""


def differing(one: Any, other: Any) -> set[str]:
    names = [field.name for field in dataclasses.fields(one)]
    return {name for name in names if getattr(one, name) != getattr(other, name)}


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "studies").glob("*.toml")))
def test_only_sizes_change(name):
    study = load_study(ROOT / "studies" / name)
    small = shrink_study(study, "elsewhere", study.corpora)
    assert differing(study, small) <= CHANGED["study"]
    for section in ("labels", "tokenizer", "encode", "pretrain", "compare"):
        assert differing(getattr(study, section), getattr(small, section)) <= CHANGED[section]
    assert differing(study.compare.recipe, small.compare.recipe) <= CHANGED["recipe"]
    assert small.out == "elsewhere"
    assert small.compare.title == TITLE + study.compare.title


def test_each_number_of_training_texts_stays_one_of_its_own(tmp_path):
    (tmp_path / "study.toml").write_text("[compare]\nlabel_sizes = [500, 20_000, 4_000]\nseeds = [3, 4]\n")
    study = load_study(tmp_path / "study.toml")
    small = shrink_study(study, "out", study.corpora)
    assert len(set(small.compare.label_sizes)) == 3
    assert all(0 < size < TRAIN for size in small.compare.label_sizes)
    assert small.compare.seeds == (3,)


def test_phases_shrink_as_the_first_one_does(tmp_path):
    text = "[[phases]]\n[phases.encode]\nrow_length = 64\ntargets = 'tags'\n[phases.pretrain]\nobjective = 'tags'\n"
    (tmp_path / "study.toml").write_text(text)
    study = load_study(tmp_path / "study.toml")
    [phase] = shrink_study(study, "out", study.corpora).phases
    assert (phase.encode.row_length, phase.encode.targets, phase.pretrain.objective) == (64, "tags", "tags")
    assert phase.pretrain.steps == 2


def test_phases_of_adaptations_shrink_to_the_same_ones(tmp_path):
    study = load_study(ROOT / "studies" / "objectives.toml")
    small = shrink_study(study, "elsewhere", study.corpora)
    for chain, shrunk in zip(chains_of(study), chains_of(small), strict=True):
        assert (chain.name, chain.folder) == (shrunk.name, shrunk.folder)
        for phase, miniature in zip(chain.phases, shrunk.phases, strict=True):
            assert differing(phase.pretrain, miniature.pretrain) <= CHANGED["pretrain"]
            assert differing(phase.encode, miniature.encode) <= CHANGED["encode"]
            assert miniature.pretrain.steps == 2 and miniature.encode.max_posts == 200
            assert (phase.rows, phase.checkpoint, phase.before) == (
                miniature.rows,
                miniature.checkpoint,
                miniature.before,
            )


def test_a_small_study_is_not_enlarged():
    study = Study()
    small = dataclasses.replace(study, tokenizer=dataclasses.replace(study.tokenizer, vocab_size=300))
    assert shrink_study(small, "out", small.corpora).tokenizer.vocab_size == 300
