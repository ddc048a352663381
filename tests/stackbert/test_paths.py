"""Every path of every command, when it names something else, is answered in words: generated from the signatures."""

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tyro.conf import Positional

from finetune.config import FinetuneConfig
from finetune.deploy.bundle import save_bundle
from stackbert.cli import COMMANDS, main
from stackbert.core.home import is_path
from tests.finetune.deploy.random_classifiers import THRESHOLDS_L, classifier_of
from tests.finetune.questions import LABELS, write_labelled

ENTRIES = [
    *("missing", "folder", "file"),
    *(
        pytest.param(entry, marks=pytest.mark.slow)
        for entry in ("empty", "binary", "missing/below", "file/below", "loop", "full")
    ),
]
GOOD = {
    "corpora build": "--source table --path {table} --title-column title --out out",
    "corpora plan": "--source dump --path {dump}",
    "corpora label": "{posts} --num-labels 1 --out out",
    "corpora audit": "{posts} {labels} --out out.json",
    "corpora attribution": "{posts} --out out.md",
    "corpora datasheet": "{posts} --out out",
    "tokenizer train": "{posts} --vocab-size 90 --out out",
    "tokenizer encode": "{posts} {tokenizer} --validation-share 0.5 --out out",
    "tokenizer report": "{posts} --tokenizers a {tokenizer} --out out",
    "tokenizer bench": "{posts} {tokenizer} --base {tokenizer} --pairs 1 --megabytes 1",
    "pretrain run": "{rows} {tokenizer} --base {base} --tokens 64 --batch-rows 2 --out out",
    "pretrain compare-starts": "{rows} {tokenizer} --base {base} --batch-rows 2",
    "pretrain find-rate": "{rows} {tokenizer} --base {base} --steps 10 --batch-rows 2",
    "pretrain curves": "--runs a {rows} --out out.svg",
    "pretrain merge": "{base} {base} --out out",
    "pretrain convert": "{base} --out out",
    "pretrain bench": "--model {base} --rows {rows} --steps 1 --batch-rows 2 --precision float32",
    "pretrain plan": "{rows} {tokenizer} --base {base} --tokens 64 --batch-rows 2 --seconds 0.1",
    "pretrain preflight": "--model {base} --batch-rows 8 --row-length 16",
    "finetune compare": "{labels} --checkpoints a {base} --no-tfidf --no-word-vectors --out out",
    "finetune preflight": "--model {base} --max-length 16 --batch-size 8",
    "finetune predict": "{model} --file {table}",
    "finetune serve": "{model}",
    "finetune export": "{model} --out out",
    "finetune push": "{model} owner/name",
}


_POSITIONAL = typing.get_args(Positional[str])[1]


def path_settings(command: str) -> Iterator[tuple[str, bool, Any]]:
    """A command's arguments that are paths: name, whether it is positional, and type."""
    for name, hint in typing.get_type_hints(COMMANDS[command], include_extras=True).items():
        kind = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
        if dataclasses.is_dataclass(kind):
            hints = typing.get_type_hints(kind, include_extras=True)
            yield from ((each, False, inner) for each, inner in hints.items() if is_path(inner))
        elif is_path(hint):
            yield name, _POSITIONAL in getattr(hint, "__metadata__", ()), hint


CASES = [
    pytest.param(command, name, positional, hint, id=f"{command}-{name}")
    for command in COMMANDS
    for name, positional, hint in path_settings(command)
]


@pytest.fixture(scope="module")
def good(small_rows: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An input of each kind, as it should be."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "table.jsonl").write_text('{"title": "how to sort a list in python", "text": "x"}\n')
    (folder / "Posts.xml").write_text('<row Id="1" PostTypeId="1" Title="how to sort a list" Body="x" />\n')
    recipe = FinetuneConfig(max_length=16)
    classifier = classifier_of("bert", False, small_rows / "tokenizer", recipe)
    save_bundle(classifier, small_rows / "tokenizer", LABELS, THRESHOLDS_L, folder / "model")
    return {
        "table": folder / "table.jsonl",
        "dump": folder / "Posts.xml",
        "posts": small_rows / "corpus",
        "labels": write_labelled(folder / "labels"),
        "tokenizer": small_rows / "tokenizer",
        "rows": small_rows / "rows",
        "base": tiny_base,
        "model": folder / "model",
    }


@pytest.fixture
def working(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an entry of each kind."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("full").mkdir()
    Path("full/notes").write_text("mine")
    Path("file").write_text("some lines\nof text\n")
    Path("empty").touch()
    Path("binary").write_bytes(bytes(range(256)) * 20)
    Path("loop").symlink_to("loop")
    return tmp_path


def arguments(command: str, good: dict[str, Path], name: str, positional: bool, hint: Any, value: str) -> list[str]:
    """The good arguments of a command with one path replaced."""
    words = GOOD[command].format(**good).split()
    option = f"--{name.replace('_', '-')}"
    if positional:
        hints = typing.get_type_hints(COMMANDS[command], include_extras=True)
        order = [each for each, kind in hints.items() if _POSITIONAL in getattr(kind, "__metadata__", ())]
        words[order.index(name)] = value
        return words
    pair = [option, "a", value] if "dict" in str(hint) or "list[tuple" in str(hint) else [option, value]
    if option in words:
        start = words.index(option)
        end = next((at for at in range(start + 1, len(words)) if words[at].startswith("--")), len(words))
        return words[:start] + pair + words[end:]
    return words + pair


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("command", "name", "positional", "hint"), CASES)
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_path_of_another_kind_is_answered_in_words(
    command: str,
    name: str,
    positional: bool,
    hint: Any,
    entry: str,
    good: dict[str, Path],
    working: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = arguments(command, good, name, positional, hint, entry)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("sys.argv", ["stackbert", *command.split(), *line])
    code: Any = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    printed = "".join(capsys.readouterr())
    assert code in (0, 1), printed
    assert not code or "stackbert: " in printed
    assert Path("full/notes").read_text() == "mine"
