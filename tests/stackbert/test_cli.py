"""The command line: help that lists every option, and wrong input answered in words."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from corpora.config import CorpusConfig, LabelConfig, PlanConfig
from finetune.config import CompareConfig, FinetuneConfig, FinetunePreflightConfig
from finetune.deploy.config import PredictConfig, ServeConfig
from pretrain.config import MergeConfig, PretrainConfig
from pretrain.measure.config import BenchConfig, FindRateConfig, PreflightConfig, PretrainPlanConfig
from stackbert import __version__, cli
from stackbert.core.errors import StackbertError
from stackbert.study import Study
from tests.paths import ROOT
from tokenizer.config import EncodeBenchConfig, EncodeConfig, ReportConfig, TokenizerConfig

CONFIGS = {
    "corpora build": (CorpusConfig,),
    "corpora plan": (CorpusConfig, PlanConfig),
    "corpora label": (LabelConfig,),
    "corpora audit": (),
    "corpora attribution": (),
    "corpora datasheet": (),
    "tokenizer train": (TokenizerConfig,),
    "tokenizer encode": (EncodeConfig,),
    "tokenizer report": (ReportConfig,),
    "tokenizer bench": (EncodeBenchConfig,),
    "pretrain run": (PretrainConfig,),
    "pretrain compare-starts": (PretrainConfig,),
    "pretrain find-rate": (PretrainConfig, FindRateConfig),
    "pretrain bench": (BenchConfig,),
    "pretrain curves": (),
    "pretrain merge": (MergeConfig,),
    "pretrain convert": (),
    "pretrain plan": (PretrainConfig, PretrainPlanConfig),
    "pretrain preflight": (PreflightConfig,),
    "finetune compare": (CompareConfig, FinetuneConfig),
    "finetune preflight": (FinetunePreflightConfig, FinetuneConfig),
    "finetune predict": (PredictConfig,),
    "finetune serve": (ServeConfig,),
    "finetune export": (),
    "finetune push": (),
}
TABLE = "corpora build --source table --out out --path"


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    """Exit code and everything printed."""
    monkeypatch.setattr(sys, "argv", ["stackbert", *arguments])
    try:
        cli.main()
        code: int | str | None = 0
    except SystemExit as stop:
        code = stop.code
    printed = "".join(capsys.readouterr())
    if isinstance(code, str):  # what the interpreter does with a text
        code, printed = 1, printed + code
    return code or 0, printed


def refused(monkeypatch, capsys, line: str) -> str:
    """The message of a command that must fail with code 1."""
    code, printed = run(monkeypatch, capsys, *line.split())
    assert code == 1, printed
    assert "Traceback" not in printed
    assert printed.count("\n") < 12
    start = printed.find("stackbert: ")
    assert start >= 0, printed
    return printed[start:]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_names_every_command(arguments, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, *arguments)
    assert code == 0
    assert all(f"  {name}" in printed for name in cli.COMMANDS)
    assert "--debug" in printed and "--version" in printed


@pytest.mark.parametrize("room", cli.ROOMS)
def test_help_of_a_room_describes_its_verbs(room, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, room, "--help")
    assert code == 0
    assert {name for name in cli.COMMANDS if f"  {name} " in printed} == {
        name for name in cli.COMMANDS if name.split()[0] == room
    }


def test_version_is_printed(monkeypatch, capsys):
    assert run(monkeypatch, capsys, "--version") == (0, f"stackbert {__version__}\n")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_of_a_command_lists_its_options_each_with_a_text(name, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, *name.split(), "--help")
    assert code == 0
    for config in CONFIGS[name]:
        for field in dataclasses.fields(config):
            if not dataclasses.is_dataclass(field.type):
                option = field.name.replace("_", "-")
                assert re.search(rf"--(no-|recipe\.)?{option}\b", printed), option


def test_every_command_is_tested():
    assert CONFIGS.keys() == cli.COMMANDS.keys()


def test_help_of_run_lists_the_sections_of_a_study(monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, "run", "--help")
    assert code == 0
    assert "--tokenizer.vocab-size" in printed
    # what a study has any number of is set in a file only
    assert all(f.name in printed for f in dataclasses.fields(Study) if f.name not in ("phases", "adaptations"))


def test_run_rehearses_a_study_where_asked(folder, monkeypatch, capsys):
    called = []
    monkeypatch.setattr("stackbert.rehearsal.rehearse.rehearse_study", lambda study: called.append(("rehearse", study)))
    monkeypatch.setattr("stackbert.cli.run_study", lambda study: called.append(("run", study)))
    Path("study.toml").write_text("out = 'a'\n[corpora.x]\nsource = 'packages'\n")
    assert run(monkeypatch, capsys, *"run study.toml --rehearse --pretrain.tokens 5".split())[0] == 0
    assert run(monkeypatch, capsys, *"run study.toml --out ~/b".split())[0] == 0
    assert [name for name, _ in called] == ["rehearse", "run"]
    assert (called[0][1].out, called[0][1].pretrain.tokens) == ("a", 5)
    assert called[1][1].out == str(Path.home() / "b")
    assert "--rehearse" in run(monkeypatch, capsys, "run", "--help")[1]


def test_unknown_commands_name_the_known_ones(monkeypatch, capsys):
    for line in ("corpora bild", "train", "tokenizer trai"):
        message = refused(monkeypatch, capsys, line)
        assert f"there is no '{line}'" in message
        assert "corpora build" in message and "finetune compare" in message


def test_what_the_system_refuses_is_said_with_path_reason_and_remedy(folder, monkeypatch, capsys):
    Path("file").write_text("mine")
    message = refused(
        monkeypatch, capsys, f"{TABLE} table.parquet --title-column title".replace("out out", "out file/x")
    )
    assert "file is not a folder; name another output" in message


def test_debug_shows_the_traceback(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", "stackbert tokenizer train none --out out --debug".split())
    with pytest.raises(StackbertError, match="none: no such folder"):
        cli.main()


def test_output_that_nobody_reads_to_its_end_is_no_error():
    command = f"{sys.executable} -m stackbert --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage")


def test_unknown_option_is_named(monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, *"tokenizer train corpus --out x --vocab-sise 5".split())
    assert code == 2
    assert "--vocab-sise" in printed and "Traceback" not in printed


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with a small table."""
    monkeypatch.chdir(tmp_path)
    rows = {"title": ["how to sort a list in python", "how to parse a file in java"], "tags": [["python"], ["java"]]}
    pd.DataFrame(rows).to_parquet("table.parquet")
    return tmp_path


def test_missing_files_are_named(folder, monkeypatch, capsys):
    assert "none.csv: no such file" in refused(monkeypatch, capsys, f"{TABLE} none.csv --title-column title")
    assert "none.toml: no such file" in refused(monkeypatch, capsys, "run none.toml")
    assert "none: no such folder" in refused(monkeypatch, capsys, "corpora label none --out out")
    assert "none: no such folder" in refused(monkeypatch, capsys, "tokenizer train none --out out")
    assert "none: no such folder" in refused(monkeypatch, capsys, "tokenizer encode none none --out out")
    assert "none: no such folder" in refused(monkeypatch, capsys, "pretrain run none none --out out")
    assert "none: no such folder" in refused(monkeypatch, capsys, "finetune compare none --checkpoints a b --out out")
    assert "none: no such folder; name one of those in 'models'" in refused(
        monkeypatch, capsys, "finetune predict none text"
    )
    assert not (folder / "out").exists()


@pytest.mark.parametrize("option", ["", "--near-duplicates"])
def test_table_without_posts_is_an_error(option, folder, monkeypatch, capsys):
    Path("empty.csv").write_text("title,tags\n")
    assert "no post was kept" in refused(monkeypatch, capsys, f"{TABLE} empty.csv --title-column title {option}")


def test_a_refused_build_does_not_block_the_mended_command(folder, monkeypatch, capsys):
    (folder / "empty").mkdir()
    assert "is a folder" in refused(monkeypatch, capsys, f"{TABLE} {folder / 'empty'} --title-column title")
    assert run(monkeypatch, capsys, *f"{TABLE} table.parquet --title-column title".split())[0] == 0


def test_unknown_column_is_named_with_those_there_are(folder, monkeypatch, capsys):
    message = refused(monkeypatch, capsys, f"{TABLE} table.parquet --title-column titel")
    assert "titel" in message and "title" in message.replace("titel", "")


def test_unknown_label_names_the_nearest(folder, monkeypatch, capsys):
    line = "corpora build --source table --out corpus --path table.parquet --title-column title --tags-column tags"
    assert run(monkeypatch, capsys, *line.split())[0] == 0
    message = refused(monkeypatch, capsys, "corpora label corpus --out out --labels pyhton")
    assert "no post has the tag 'pyhton'; nearest is 'python'" in message


def test_checkpoint_that_can_run_code_is_refused(folder, labelled_and_unsafe, monkeypatch, capsys):
    labelled, unsafe = labelled_and_unsafe
    line = f"finetune compare {labelled} --checkpoints generic {unsafe} --out out --no-tfidf"
    assert "pytorch_model.bin can run code" in refused(monkeypatch, capsys, line)


@pytest.fixture
def labelled_and_unsafe(folder, tiny_base) -> tuple[Path, Path]:
    from tests.finetune.questions import write_labelled

    (folder / "unsafe").mkdir()
    (folder / "unsafe" / "config.json").write_bytes((tiny_base / "config.json").read_bytes())
    (folder / "unsafe" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return write_labelled(folder / "labelled"), folder / "unsafe"


def test_settings_that_contradict_are_answered_in_words(folder, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, *"corpora build --source table --out out".split())
    assert code in (1, 2)
    assert "needs path" in printed and "Traceback" not in printed


def test_output_folder_that_holds_something_else_is_left_alone(folder, monkeypatch, capsys):
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    assert "not a finished output" in refused(monkeypatch, capsys, f"{TABLE} table.parquet --title-column title")
    assert Path("out/notes.txt").read_text() == "mine"


def test_installed_command_ends_with_code_1_and_one_line(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stackbert", "tokenizer", "train", "none", "--out", "out"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith("stackbert: none: no such folder") and ended.stderr.count("\n") == 1


START = "from stackbert.guard import import_tensorflow; import_tensorflow()"


def test_a_training_command_starts_in_silence():
    line = "pretrain bench --model 2x128 --row-length 16 --batch-rows 2 --steps 1 --precision float32"
    command = [sys.executable, "-m", "stackbert", *line.split()]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    # an error line of TensorFlow's may remain: of bfloat16, on a processor without AVX-512
    assert not re.search("^(WARNING|To enable|[IW][0-9]{4} )|DT_INT64|retracing", ended.stderr, re.MULTILINE)
    assert "tokens/s" in ended.stdout


def test_errors_at_tensorflow_s_start_are_shown(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\n"
        "os.write(2, b'I0000 00:00:1 port.cc:1] oneDNN custom operations are on.\\n')\n"
        "os.write(2, b'E0000 00:00:1 cuda.cc:1] no device\\n')\n"
        "os.write(2, b'F0000 00:00:1 cpu.cc:1] built for another processor\\n')\n"
        "os.abort()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", START],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode < 0
    assert "E0000" in ended.stderr and "F0000" in ended.stderr and "I0000" not in ended.stderr
