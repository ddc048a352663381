"""Study files and the chain of stages."""

import dataclasses
import shutil
import typing
from pathlib import Path
from types import UnionType
from typing import Any, Literal

import pytest

from corpora.config import CorpusConfig, LabelConfig
from finetune.config import CompareConfig, FinetuneConfig
from pretrain.config import PretrainConfig
from pretrain.model.taught import load_taught
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from stackbert.study import (
    CONVERTED,
    Study,
    load_study,
    planned_systems,
    readable_checkpoints,
    run_study,
    unadapted_checkpoints,
)
from tests.paths import ROOT
from tokenizer.config import EncodeConfig, TokenizerConfig

STUDIES = ROOT / "studies"
SECTIONS = {
    "corpora.text": CorpusConfig,
    "labels": LabelConfig,
    "tokenizer": TokenizerConfig,
    "encode": EncodeConfig,
    "pretrain": PretrainConfig,
    "compare": CompareConfig,
    "compare.recipe": FinetuneConfig,
}
SETTINGS = [
    (section, field)
    for section, config in SECTIONS.items()
    for field in dataclasses.fields(config)
    if not dataclasses.is_dataclass(field.type)
]


def load(folder: Path, text: str) -> Study:
    path = folder / "study.toml"
    path.write_text(text, "utf-8")
    return load_study(path)


def other_value(field: dataclasses.Field) -> tuple[str, Any]:
    """A value other than the default, in TOML and in Python."""
    kind = typing.get_args(field.type)[0] if hasattr(field.type, "__metadata__") else field.type
    if typing.get_origin(kind) in (UnionType, typing.Union):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is Literal:
        value = next(name for name in typing.get_args(kind) if name != field.default)
        return f'"{value}"', value
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if typing.get_origin(item) is Literal:
            names = typing.get_args(item)[:2]
            return str(list(names)), names
        values = {int: ("[7, 8]", (7, 8)), float: ("[0.5, 0.25]", (0.5, 0.25))}
        return values.get(item, ('["b", "a"]', ("b", "a")))
    if typing.get_origin(kind) is dict:  # of the corpora
        return "{text = 0.5}", {"text": 0.5}
    if kind is bool:
        return str(not field.default).lower(), not field.default
    named = {"delimiter": "pipe", "test_from": "2021-06-01"}
    if field.name in named:
        return f'"{named[field.name]}"', named[field.name]
    if field.name == "spike_factor":  # the one that must be above 1
        return "2.5", 2.5
    return {str: ('"other"', "other"), int: ("77", 77), float: ("0.125", 0.125)}[kind]


@pytest.mark.parametrize(("section", "field"), SETTINGS, ids=[f"{section}.{field.name}" for section, field in SETTINGS])
def test_every_setting_can_be_given(section, field, tmp_path):
    text, value = other_value(field)
    further = 'path = "x"\ntitle_column = "t"\n' if section == "corpora.text" and field.name == "source" else ""
    text = f"{text}\n[corpora.text]" if field.name == "weights" else text
    study: Any = load(tmp_path, f"[{section}]\n{further}{field.name} = {text}\n")
    for part in section.split("."):
        study = study[part] if isinstance(study, dict) else getattr(study, part)
    assert getattr(study, field.name) == value
    assert value != field.default


@pytest.mark.parametrize("name", sorted(path.name for path in STUDIES.glob("*.toml")))
def test_included_studies_load(name):
    study = load_study(str(STUDIES / name))
    assert study.corpora and study.compare.title


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[compare]\nbaseline = 'random-tiny adapted'\n", "baseline 'random-tiny adapted' is not among the systems: "),
        ("[checkpoints]\n'random-tiny: adapted (code-aware vocabulary)' = 'x'\n", "differ in punctuation or case only"),
        ("[compare]\ninclude_exports = true\n", "include_exports: no checkpoint has exported ones"),
    ],
)
def test_systems_that_cannot_be_compared_are_refused_before_any_stage(settings, message, tmp_path):
    study = load(tmp_path, f"out = '{tmp_path}/out'\n[pretrain]\nbase = 'random-tiny'\n{settings}")
    with pytest.raises(StackbertError, match=message):
        run_study(study)
    assert not (tmp_path / "out").exists()


def test_study_compares_the_base_each_adapted_checkpoint_and_their_merges(tiny_base, tmp_path, monkeypatch):
    compared: dict[str, str] = {}

    def compare(labels: Path, checkpoints: dict[str, str], out: Path, config: CompareConfig) -> None:
        compared.update(checkpoints)

    monkeypatch.setattr("finetune.compare.compare.compare", compare)  # 'stackbert doctor' runs the whole chain
    lines = ["title,tags"]
    for number in range(300):
        tag = ("c++", "mysql")[number % 2]
        lines.append(f"how to sort the rows of table {number} and print list {number * 7} in {tag},{tag}")
    (tmp_path / "posts.csv").write_text("\n".join(lines), "utf-8")
    study = load(
        tmp_path,
        f"""
out = '{tmp_path}/out'
data = '{tmp_path}'
merged = 0.25
[corpora.posts]
source = 'table'
path = 'posts.csv'
title_column = 'title'
tags_column = 'tags'
[labels]
num_labels = 2
[tokenizer]
vocab_size = 90
[encode]
row_length = 16
[pretrain]
base = '{tiny_base}'
steps = 1
batch_rows = 2
[compare]
seeds = [0]
tfidf = false
word_vectors = false
[compare.recipe]
max_length = 16
head_epochs = 1
epochs = 1
""",
    )
    run_study(study)
    adapted = [f"{tiny_base} adapted", f"{tiny_base} adapted, code-aware vocabulary"]
    names = [str(tiny_base), *(f"{name}{end}" for name in adapted for end in ("", ", merged with the base"))]
    assert list(compared) == names
    assert compared[str(tiny_base)] == str(tiny_base)
    assert [load_manifest(Path(compared[name])).counts["tokens"] for name in names[1:]] == [32] * 4
    assert load_manifest(tmp_path / "out" / "merged" / "code-aware-vocabulary").config == {"share": 0.25}


def test_a_study_teaches_tags_after_masked_tokens(tiny_base, tmp_path, monkeypatch):
    compared: dict[str, str] = {}
    monkeypatch.setattr("finetune.compare.compare.compare", lambda labels, systems, *_: compared.update(systems))
    lines = ["title,tags"]
    for number in range(300):
        tags = (("c++", "node.js")[number % 2], ("mysql", "numpy")[number % 3 % 2])
        title = f"how to sort the rows of table {number} and print list {number * 7} in {tags[0]}"
        lines.append(f"{title},{'|'.join(tags)}")
    (tmp_path / "posts.csv").write_text("\n".join(lines), "utf-8")
    study = load(
        tmp_path,
        f"""
out = '{tmp_path}/out'
data = '{tmp_path}'
[corpora.posts]
source = 'table'
path = 'posts.csv'
title_column = 'title'
tags_column = 'tags'
[labels]
labels = ['c++', 'node.js']
[tokenizer]
vocab_size = 90
[encode]
row_length = 16
[pretrain]
base = '{tiny_base}'
steps = 1
batch_rows = 2
[[phases]]
[phases.encode]
row_length = 16
targets = 'tags'
[phases.pretrain]
objective = 'tags'
steps = 2
batch_rows = 2
[compare]
tfidf = false
word_vectors = false
[compare.recipe]
max_length = 16
""",
    )
    run_study(study)
    for folder in map(Path, list(compared.values())[1:]):
        assert folder.parent.name == "pretrained-2"
        counts = load_manifest(folder).counts
        assert (counts["tokens"], counts["total_tokens"]) == (64, 96)
        assert load_taught(folder).tags == ("mysql", "numpy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pretrain]\nobjective = 'tags'\n", "its rows need targets = 'tags' in the .encode. of the same phase"),
        ("[[phases]]\n[phases.pretrain]\nobjective = 'tags'\n", "its rows need targets = 'tags'"),
    ],
)
def test_tags_without_rows_of_tags_are_refused_before_any_stage(text, message, tmp_path):
    with pytest.raises(StackbertError, match=message):
        run_study(load(tmp_path, f"out = '{tmp_path}/out'\n{text}"))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_files_is_not_filled(tmp_path):
    out = tmp_path / "notes"
    out.mkdir()
    (out / "monday.md").write_text("mine")
    with pytest.raises(
        StackbertError, match=r"out: .*/notes holds other files \(monday.md\) and no study; name a folder"
    ):
        run_study(load(tmp_path, f"out = '{out}'\n"))
    assert [path.name for path in out.iterdir()] == ["monday.md"]


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "/a", "a\\b"])
def test_the_name_of_a_corpus_is_a_folder_in_that_of_the_study(name, tmp_path):
    with pytest.raises(StackbertError, match=r"corpora: .* names no folder in that of the study"):
        load(tmp_path, f"[corpora.'{name}']\nsource = 'packages'\n")


def test_a_study_needs_a_corpus(tmp_path):
    with pytest.raises(StackbertError, match="corpora: name at least one"):
        load(tmp_path, "[corpora]\n")


def test_a_phase_has_no_base_of_its_own(tmp_path):
    with pytest.raises(StackbertError, match=r"phases: base other: leave it out"):
        load(tmp_path, "[[phases]]\n[phases.pretrain]\nbase = 'other'\n")


def test_any_system_can_be_the_baseline_of_a_study(tmp_path):
    own = "random-tiny adapted, code-aware vocabulary"
    for baseline in (own, f"{own}, cleaned text", "TF-IDF + logistic regression", "averaged word vectors"):
        text = f"[pretrain]\nbase = 'random-tiny'\n[compare]\ncleaned = true\nbaseline = '{baseline}'\n"
        assert planned_systems(load(tmp_path, text)) == [own]


def test_a_checkpoint_published_for_pytorch_is_converted_into_the_study_and_keeps_its_name(
    tiny_base, tmp_path, monkeypatch
):
    published = tmp_path / "owner" / "scibert"
    shutil.copytree(tiny_base, published)
    (published / "model.safetensors").rename(published / "pytorch_model.bin")
    text = f"out = '{tmp_path}/out'\n[pretrain]\nbase = '{tiny_base}'\n[checkpoints]\nSciBERT = '{published}'\n"
    text += "[compare.recipe]\nmax_length = 16\n"
    study = load(tmp_path, text)
    monkeypatch.setattr("pretrain.convert.find_spec", lambda name: None)
    with pytest.raises(StackbertError, match=r"scibert: has no model.safetensors, .*pretrain convert .*/scibert --out"):
        run_study(study)
    assert not (tmp_path / "out").exists()

    monkeypatch.setattr("pretrain.convert.find_spec", lambda name: "PyTorch")
    monkeypatch.setattr("pretrain.convert.convert_checkpoint", lambda name, out: shutil.copytree(tiny_base, out))
    places = readable_checkpoints(study, tmp_path / "out" / CONVERTED)
    converted = Path(places[str(published)])
    assert converted == tmp_path / "out" / "converted" / "owner--scibert"
    assert places[str(tiny_base)] == str(tiny_base)
    assert unadapted_checkpoints(study, [], places) == {str(tiny_base): str(tiny_base), "SciBERT": str(converted)}


def test_there_are_studies():
    assert {"demo.toml", "stackoverflow.toml", "replication.toml", "smallberta.toml", "camembert.toml"} <= {
        path.name for path in STUDIES.iterdir()
    }


def test_empty_file_is_the_default_study(tmp_path):
    assert load(tmp_path, "") == Study()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tokenizr]\nvocab_size = 5\n", "tokenizr: no such setting; nearest is 'tokenizer'"),
        ("[tokenizer]\nvocab_sise = 5\n", "tokenizer.vocab_sise: no such setting; nearest is 'vocab_size'"),
        ("[corpora.x]\nsuorce = 'table'\n", "corpora.x.suorce: no such setting; nearest is 'source'"),
        (
            "[compare.recipe]\nmax_lenght = 9\n",
            "compare.recipe.max_lenght: no such setting; nearest is 'max_length'",
        ),
        ("[compare]\nqqq = 9\n", "compare.qqq: no such setting; the settings are recipe, search_poolings"),
        ("[pretrain]\ntokens = 'many'\n", "pretrain.tokens: Input should be a valid integer"),
        ("[tokenizer]\nextend_by = 'aut'\n", "tokenizer.extend_by: Input should be 'auto'"),
        ("[pretrain]\ntransfer = 'man'\n", "pretrain.transfer: Input should be 'mean', 'random', 'similar' or"),
        ("[corpora.x]\nsource = 'table'\n", "corpora.x: source 'table' needs path"),
        ("merged = 0.5\n[pretrain]\nbase = 'random-tiny'\n", "merged: needs a base with weights"),
        ("merged = 0.5\n[pretrain]\ntransfer = 'similar'\n", "merged: needs a base with weights"),
        ("merged = 0.5\n[pretrain]\ntransfer = 'distill'\n", "merged: needs a base with weights"),
        ("labels = 3\n", "labels: Input should be a dictionary"),
        ("[labels\n", "not valid TOML"),
    ],
)
def test_wrong_settings_are_named(text, message, tmp_path):
    with pytest.raises(StackbertError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'study.toml'}:")
    assert message in str(error.value)


def test_every_wrong_setting_is_named_at_once(tmp_path):
    with pytest.raises(StackbertError) as error:
        load(tmp_path, "[pretrain]\ntokens = 'x'\nseed = 'y'\n[encode]\nrow = 3\n")
    assert all(name in str(error.value) for name in ("pretrain.tokens", "pretrain.seed", "encode.row"))


def test_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(StackbertError, match=r"none\.toml: no such file"):
        load_study(tmp_path / "none.toml")
    with pytest.raises(StackbertError, match="cannot be read"):
        load_study(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'out = "caf\xe9"')
    with pytest.raises(StackbertError, match="not valid TOML"):
        load_study(tmp_path / "latin.toml")
