"""Known layouts are those of the published configurations, and the included studies keep within their limits."""

import dataclasses

import pytest

from pretrain.model.architecture import read_architecture
from stackbert.core.checkpoints import MINILM_HUB_ID, is_random
from stackbert.rehearsal.published import PUBLISHED
from stackbert.study import load_study, named_checkpoints
from tests.paths import ROOT
from tests.stackbert.rehearsal.published_configs import CONFIGS

STUDIES = sorted((ROOT / "studies").glob("*.toml"))
by_study = pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])


def test_every_known_layout_has_a_copy_of_its_configuration():
    assert PUBLISHED.keys() == CONFIGS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_layout_is_that_of_the_published_configuration(name):
    layout = PUBLISHED[name]
    assert layout.config == {field: CONFIGS[name][field] for field in layout.config}
    assert ("type_vocab_size" in CONFIGS[name]) == (layout.type_vocab_size is not None)
    longest = 8_192 if layout.model_type == "modernbert" else 512
    assert read_architecture(CONFIGS[name], name).max_length == longest


@by_study
def test_checkpoints_of_included_studies_are_known(path):
    names = [name for name in named_checkpoints(load_study(path)) if not is_random(name)]
    assert {MINILM_HUB_ID if name == "minilm" else name for name in names} <= PUBLISHED.keys()


@by_study
def test_included_studies_keep_within_the_published_positions(path):
    study = load_study(path)
    longest = max(study.compare.recipe.max_length, study.encode.row_length)
    for name in named_checkpoints(study):
        if not is_random(name):
            config = CONFIGS[MINILM_HUB_ID if name == "minilm" else name]
            assert longest <= read_architecture(config, name).max_length


def test_the_replication_names_the_study_s_encoders_sizes_and_recipe():
    study = load_study(ROOT / "studies" / "replication.toml")
    families = {"bert-base", "distilbert-base", "scibert_scivocab"}
    for family in families:
        cases = {
            name.rpartition("_")[2].rpartition("-")[2] for name in named_checkpoints(study) if f"/{family}" in name
        }
        assert cases == {"cased", "uncased"}
    assert "FacebookAI/roberta-base" in named_checkpoints(study)
    assert (*study.compare.label_sizes, study.labels.max_train) == (20_000, 40_000)
    assert (study.labels.num_labels, study.labels.max_test) == (25, 10_000)
    recipe = study.compare.recipe
    assert (recipe.max_length, recipe.head_epochs, recipe.epochs, recipe.learning_rate) == (512, 50, 20, 1e-5)
    assert study.compare.cleaned


def test_layouts_are_not_changed_in_passing():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PUBLISHED["FacebookAI/roberta-base"].vocab_size = 1  # type: ignore[misc]
