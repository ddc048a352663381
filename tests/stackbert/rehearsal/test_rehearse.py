"""Whole rehearsals: what they run, say and write, and what they refuse."""

from pathlib import Path

import pytest

from finetune.compare.comparison import load_comparison
from stackbert.core.artifact import load_manifest
from stackbert.core.errors import StackbertError
from stackbert.rehearsal.rehearse import MARK, NOTICE, rehearse_study
from stackbert.rehearsal.shrink import TITLE
from stackbert.study import Study, load_study
from tests.paths import ROOT

ONE_CHECKPOINT = """
out = '{folder}/out'
data = '{folder}'
[corpora.posts]
source = 'table'
path = 'posts.csv'
title_column = 'title'
tags_column = 'tags'
[labels]
labels = ['c++', 'mysql']
[encode]
row_length = 32
[pretrain]
base = 'random-small'
tokens = 1_000_000_000
[compare]
title = 'Small'
tfidf = false
word_vectors = false
[compare.recipe]
max_length = 32
"""


def load(folder: Path, text: str = ONE_CHECKPOINT) -> Study:
    path = folder / "study.toml"
    path.write_text(text.format(folder=folder), "utf-8")
    return load_study(path)


def write_posts(folder: Path, posts: int = 300) -> None:
    lines = ["title,tags"]
    for number in range(posts):
        tag = ("c++", "mysql")[number % 2]
        lines.append(f"how to sort the rows of table {number} and print list {number * 7} in {tag},{tag}")
    (folder / "posts.csv").write_text("\n".join(lines), "utf-8")


def test_a_study_is_rehearsed_with_its_own_data_in_a_folder_of_its_own(tmp_path, capsys):
    write_posts(tmp_path)
    rehearse_study(load(tmp_path))
    out, printed = tmp_path / "out-rehearsal", capsys.readouterr().out
    assert printed.startswith(NOTICE) and "figures mean nothing" in NOTICE
    assert "Every stage of the study ran." in printed
    assert "corpus 'posts': the first posts of its data" in printed
    assert not (tmp_path / "out").exists()
    comparison = load_comparison(out / "comparison")
    assert [system.name for system in comparison.systems] == ["random-small adapted, code-aware vocabulary"]
    assert comparison.title == TITLE + "Small"
    assert comparison.data.train == 64
    assert TITLE in (out / "comparison" / "report.html").read_text("utf-8")
    assert (out / "comparison" / "comparison.md").read_text("utf-8").startswith(f"# {TITLE}")
    adapted = load_manifest(out / "pretrained" / "code-aware-vocabulary")
    assert (adapted.counts["steps"], adapted.config["tokens"]) == (2, 1_000_000_000)


def test_an_earlier_rehearsal_is_replaced_and_nothing_else(tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr("stackbert.rehearsal.rehearse.run_study", lambda study, places: runs.append(study.out))
    write_posts(tmp_path)
    out = tmp_path / "out-rehearsal"
    rehearse_study(load(tmp_path))
    (out / "stale").touch()
    rehearse_study(load(tmp_path))
    assert not (out / "stale").exists() and runs == [str(out)] * 2
    (out / MARK).unlink()
    (out / "mine").touch()
    with pytest.raises(StackbertError, match=r"out-rehearsal: is in the way of the rehearsal"):
        rehearse_study(load(tmp_path))
    assert (out / "mine").exists()


def test_data_that_is_missing_is_said_and_stood_in_for(tmp_path, monkeypatch, capsys):
    found: list[Study] = []
    monkeypatch.setattr("stackbert.rehearsal.rehearse.run_study", lambda study, places: found.append(study))
    text = ONE_CHECKPOINT.replace("'random-small'", "'almanach/camembert-base'")
    rehearse_study(load(tmp_path, text))
    assert "posts.csv is not here; made-up posts stand in, so its columns are not checked" in capsys.readouterr().out
    path = Path(found[0].corpora["posts"].path)
    assert path.is_relative_to(tmp_path / "out-rehearsal")
    assert "Comment joindre deux tables" in path.read_text("utf-8")


def test_a_wrong_column_stops_the_rehearsal_as_it_would_the_study(tmp_path):
    write_posts(tmp_path)
    text = ONE_CHECKPOINT.replace("'title'", "'titel'")
    with pytest.raises(StackbertError, match=r"no column 'titel' for title_column; nearest is 'title'"):
        rehearse_study(load(tmp_path, text))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[compare.recipe]\nmax_length = 513\n", r"reads 512 tokens at most; max_length is 513"),
        ("[compare]\nbaseline = 'RoBERTA'\n", r"baseline 'RoBERTA' is not among the systems"),
        ("[encode]\ntargets = 'tags'\n[pretrain]\nobjective = 'tags'\nbase = 'x/y'\n", r"x/y: .* a rehearsal knows"),
    ],
)
def test_what_would_stop_the_study_stops_the_rehearsal(settings, message, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    write_posts(tmp_path)
    base = "" if "base = " in settings else "[pretrain]\nbase = 'FacebookAI/roberta-base'\n"
    corpus = ONE_CHECKPOINT.partition("[labels]")[0]
    with pytest.raises(StackbertError, match=message):
        rehearse_study(load(tmp_path, corpus + base + settings))
    assert not (tmp_path / "out-rehearsal" / "corpora").exists()


def test_checkpoints_published_for_pytorch_are_told_of(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("stackbert.rehearsal.rehearse.run_study", lambda study, places: None)
    write_posts(tmp_path)
    rehearse_study(load(tmp_path, f"{ONE_CHECKPOINT}[checkpoints]\nSciBERT = 'allenai/scibert_scivocab_cased'\n"))
    [line] = [line for line in capsys.readouterr().out.splitlines() if "scibert" in line]
    assert "published as pytorch_model.bin, so the study needs PyTorch to convert it" in line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replication", "smallberta", "camembert", "modernbert", "objectives"])
def test_included_studies_are_rehearsed_without_their_data(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load_study(ROOT / "studies" / f"{name}.toml")
    rehearse_study(study)
    comparison = load_comparison(tmp_path / f"{study.out}-rehearsal" / "comparison")
    encoders = [system.name for system in comparison.systems if system.kind == "encoder"]
    assert set(study.checkpoints) <= set(encoders)
    adapted = list(study.adaptations) or [f"{study.pretrain.base} adapted, code-aware vocabulary"]
    assert set(adapted) <= set(encoders)
    assert len(comparison.gain_against_labels) == (len(comparison.systems) if study.compare.label_sizes else 0)
