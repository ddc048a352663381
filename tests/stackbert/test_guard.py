"""What stands around each command: signals, readers that have gone, and output in any encoding."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stackbert.core.errors import StackbertError
from stackbert.guard import answer
from tests.paths import ROOT, SHARED

TABLE = "corpora build --source table --path table.jsonl --title-column title --out"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small table."""
    rows = [{"title": f"how to sort a list, part {number}"} for number in range(30)]
    (tmp_path / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def stackbert(
    *arguments: str, cwd: Path = ROOT, unread: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command; with `unread`, nobody reads its standard output."""
    reading, writing = os.pipe()
    if unread:
        os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "stackbert", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    if not unread:
        with os.fdopen(reading, encoding="utf-8", errors="surrogateescape") as output:
            ended.stdout = output.read()
    return ended


@pytest.mark.parametrize(
    "line", ["--help", "--version", "corpora --help", "corpora build --help", "run --help", "finetune predict --help"]
)
def test_printing_for_a_reader_that_has_gone_ends_quietly(line: str) -> None:
    ended = stackbert(*line.split(), unread=True)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


def test_a_reader_of_the_first_line_is_enough() -> None:
    command = f"{sys.executable} -m stackbert corpora build --help | head -n 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 141) and ended.stderr == ""
    assert ended.stdout.startswith("usage")


def test_a_stage_whose_output_nobody_reads_finishes_its_folder(folder: Path) -> None:
    ended = stackbert(*TABLE.split(), "out", cwd=folder, unread=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (folder / "out" / "manifest.json").is_file()


def test_an_error_is_said_although_nobody_reads_the_output(folder: Path) -> None:
    ended = stackbert("tokenizer", "train", "none", "--out", "out", cwd=folder, unread=True)
    assert ended.returncode == 1 and ended.stderr.startswith("stackbert: none: no such folder")


def test_a_broken_pipe_of_another_kind_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def send() -> None:
        raise BrokenPipeError(32, "Broken pipe", "the hub")

    assert answer(send, debug=False) == 1
    assert "the hub: Broken pipe" in capsys.readouterr().err


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_are_no_error(redirection: str, folder: Path) -> None:
    line = f"{sys.executable} -m stackbert {TABLE} out {redirection}"
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (folder / "out" / "manifest.json").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_text_can_be_printed_in_any_encoding(encoding: str, folder: Path) -> None:
    """A JSON string with the escapes is the same text."""
    code = "import stackbert.guard as g; g.answer(lambda: print('\"ü 漢 \\U0001F600 \\udcff\"'), False)"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert json.loads(ended.stdout.decode(encoding)) == "ü 漢 \U0001f600 \udcff"


def test_a_locale_without_unicode_is_no_error(folder: Path) -> None:
    ascii_locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert stackbert(*TABLE.split(), "out", cwd=folder, **ascii_locale).returncode == 0
    assert stackbert("finetune", "predict", "--help", **ascii_locale).returncode == 0
    ended = stackbert(*TABLE.split(), "aüs", cwd=folder, **ascii_locale)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1 and "LC_ALL=C.UTF-8" in ended.stderr


def test_a_name_that_is_not_utf_8_is_refused(folder: Path) -> None:
    ended = stackbert(*TABLE.split(), os.fsdecode(b"caf\xe9"), cwd=folder)
    assert ended.returncode == 1 and "is not text in the encoding" in ended.stderr
    assert [path.name for path in folder.iterdir()] == ["table.jsonl"]


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGTERM, 143, "ended by SIGTERM"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_is_one_line(number: signal.Signals, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    of_interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert answer(lambda: os.kill(os.getpid(), number), debug=False) == code
    finally:
        signal.signal(signal.SIGINT, of_interrupt)
    printed = capsys.readouterr().err
    assert said in printed and printed.count("\n") == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_exit_codes_of_commands_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def leaving(code: int | str | None) -> Callable[[], None]:
        def leave() -> None:
            sys.exit(code)

        return leave

    assert [answer(leaving(code), debug=False) for code in (None, 0, 1, 2, 75)] == [0, 0, 1, 2, 75]
    assert answer(leaving("what is wrong"), debug=False) == 1
    assert capsys.readouterr().err == "stackbert: what is wrong\n"


def test_debug_raises() -> None:
    def fail() -> None:
        raise StackbertError("x")

    with pytest.raises(StackbertError):
        answer(fail, debug=True)


@pytest.mark.skipif(not (SHARED / "field").is_dir(), reason="no field cases beside the project")
def test_a_refused_command_and_its_correction(tmp_path: Path) -> None:
    line = f"corpora build --source table --title-column title --path {SHARED}/field/_corpus/tickets.csv --out out"
    refused = stackbert(*line.split(), "--id-column", "idd", cwd=tmp_path)
    assert refused.returncode == 1 and refused.stderr.count("stackbert: ") == 1
    assert not (tmp_path / "out.partial").exists()
    assert stackbert(*line.split(), "--id-column", "id", cwd=tmp_path).returncode == 0
