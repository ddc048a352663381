"""'~' is the home folder in every path of a command and a study, and nowhere else."""

import json
from pathlib import Path

import pytest

from corpora.config import CorpusConfig
from finetune.config import CompareConfig
from pretrain.config import PretrainConfig
from stackbert.cli import main
from stackbert.core.errors import StackbertError
from stackbert.core.home import PathText, expand_home
from stackbert.study import load_study


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder, empty, beside the working folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["stackbert", *arguments])
    main()


@pytest.mark.parametrize("out", [["--out=~/deep/out"], ["--out", "~/deep/out"]])
def test_a_command_reads_and_writes_below_the_home_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, out: list[str]
) -> None:
    (home / "table.jsonl").write_text('{"title": "how to sort a list in python", "tags": ["python"]}\n' * 3)
    build = "corpora build --source table --title-column title --tags-column tags --path=~/table.jsonl"
    run(monkeypatch, *build.split(), *out)
    assert json.loads((home / "deep" / "out" / "manifest.json").read_text())["config"]["path"] == f"{home}/table.jsonl"
    run(monkeypatch, "corpora", "datasheet", "~/deep/out")
    assert (home / "deep" / "out-datasheet" / "datasheet.md").is_file()
    assert list(Path().iterdir()) == []


def test_a_study_s_paths_are_expanded(home: Path) -> None:
    (home / "study.toml").write_text(
        'out = "~/runs"\ndata = "~"\n[checkpoints]\nmine = "~/model"\n[corpora.a]\nsource = "dump"\n'
        'path = "~/Posts.xml"\npost_links = "~/x~/PostLinks.xml"\n[compare]\nreuse = ["~/old", "new"]\ntitle = "~/"\n'
        '[pretrain]\nbase = "~/base"\nstate_folder = "gs://bucket/~"\n'
    )
    study = load_study(home / "study.toml")
    assert (study.out, study.data, study.checkpoints) == (f"{home}/runs", str(home), {"mine": f"{home}/model"})
    assert study.corpora["a"].path == f"{home}/Posts.xml"
    assert study.corpora["a"].post_links == f"{home}/x~/PostLinks.xml"
    assert study.compare.reuse == (f"{home}/old", "new")
    assert study.compare.title == "~/"
    assert (study.pretrain.base, study.pretrain.state_folder) == (f"{home}/base", "gs://bucket/~")


def test_values_that_are_no_paths_stay(home: Path) -> None:
    config = CorpusConfig(packages=("~",), site="~", id_column="~")
    assert expand_home(config, CorpusConfig) is config
    assert expand_home(CompareConfig(baseline="~/a"), CompareConfig).baseline == "~/a"
    assert expand_home({"~": "~/a"}, dict[str, PathText]) == {"~": f"{home}/a"}
    assert expand_home("~/a", str) == "~/a"
    assert expand_home((Path("~"), Path("a/~"), 3), tuple[Path, ...]) == (home, Path("a/~"), 3)
    assert expand_home(Path("~no-such-user/x"), Path) == Path("~no-such-user/x")
    assert expand_home(PretrainConfig(base="minilm"), PretrainConfig).base == "minilm"


def test_a_home_folder_of_nobody_is_refused_and_not_made(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("table.jsonl").write_text('{"title": "how to sort a list in python"}\n')
    with pytest.raises(SystemExit):
        run(
            monkeypatch,
            *"corpora build --source table --title-column title --path table.jsonl --out=~nobody-/x".split(),
        )
    assert "write the path in full" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["table.jsonl"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_byte_order_mark_in_a_study_is_read_over(home: Path, encoding: str) -> None:
    (home / "study.toml").write_text('out = "ü"\n', encoding)
    assert load_study(home / "study.toml").out == "ü"


@pytest.mark.parametrize(("encoding", "said"), [("utf-16", "UTF-16; convert it"), ("latin-1", "not valid TOML")])
def test_a_study_in_another_encoding_is_named(home: Path, encoding: str, said: str) -> None:
    (home / "study.toml").write_text('out = "ü"\n', encoding)
    with pytest.raises(StackbertError, match=said):
        load_study(home / "study.toml")
