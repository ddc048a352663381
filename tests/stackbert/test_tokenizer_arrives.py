"""Every command that reads a tokenizer refuses a folder whose tokenizer did not arrive, and writes nothing."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.config import FinetuneConfig
from finetune.deploy.bundle import save_bundle
from stackbert import cli
from tests.finetune.deploy.random_classifiers import THRESHOLDS_L, classifier_of
from tests.finetune.questions import LABELS, write_labelled
from tests.tokenizer.made_tokenizers import SPECIALS, lines, wordpiece_tokens, write_files

READS_NONE = {
    *("corpora build", "corpora plan", "corpora label", "corpora audit", "corpora attribution", "corpora datasheet"),
    *("pretrain curves", "pretrain bench", "pretrain preflight", "finetune preflight"),
}
"""Commands that read no tokenizer."""
LINES = {
    "tokenizer train": "{corpus} --extend {broken} --out {out}",
    "tokenizer encode": "{corpus} {broken} --out {out}",
    "tokenizer report": "{corpus} --tokenizers good {good} bad {broken} --out {out}",
    "tokenizer bench": "{corpus} {broken} --base {good}",
    "pretrain run": "{rows} {good} --base {broken} --steps 1 --out {out}",
    "pretrain compare-starts": "{rows} {good} --base {broken}",
    "pretrain find-rate": "{rows} {good} --base {broken}",
    "pretrain plan": "{rows} {good} --base {broken}",
    "pretrain merge": "{broken} {good} --out {out}",
    "pretrain convert": "{broken} --out {out}",
    "finetune compare": "{labels} --checkpoints x {broken} --out {out}",
    "finetune predict": "{broken} text",
    "finetune serve": "{broken} --port 0",
    "finetune export": "{broken} --out {out}",
    "finetune push": "{broken} owner/name",
}
"""A line of each other command, in which {broken} stands for the folder whose tokenizer did not arrive."""
TOKENIZER_NAMES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


def without_files(folder: Path) -> None:
    """A checkpoint beside which no tokenizer was copied."""


def of_special_tokens(folder: Path) -> None:
    """A vocab.txt that was cut after its special tokens."""
    write_files(folder, {"vocab.txt": lines(SPECIALS)})


def of_another_model(folder: Path) -> None:
    """A file that the checkpoint's class does not read."""
    write_files(folder, {"vocab.json": {"<s>": 0, "a": 1}})


def beyond_the_table(folder: Path) -> None:
    """A vocabulary with more tokens than the word table has rows."""
    write_files(folder, {"vocab.txt": lines([*wordpiece_tokens(), *(f"word{number}" for number in range(200))])})


def without_mask(folder: Path) -> None:
    """A vocab.txt that lacks a special token."""
    write_files(folder, {"vocab.txt": lines([token for token in wordpiece_tokens()[:90] if "MASK" not in token])})


FAULTS: dict[Callable[[Path], None], str] = {
    without_files: "holds no tokenizer",
    of_special_tokens: "special tokens only",
    of_another_model: "reads vocab.txt or tokenizer.json",
    beyond_the_table: "does not fit the checkpoint",
    without_mask: r"lacks the special token \[MASK\]",
}


def test_every_command_is_listed():
    assert LINES.keys() | READS_NONE == cli.COMMANDS.keys()
    assert not LINES.keys() & READS_NONE


@pytest.fixture(scope="module")
def model(small_rows, tmp_path_factory) -> Path:
    """A classifier that is a checkpoint in both formats, too, so that every command can name it."""
    folder = tmp_path_factory.mktemp("models") / "model"
    recipe = FinetuneConfig(max_length=16, pooling="cls", precision="float32")
    classifier = classifier_of("bert", True, small_rows / "tokenizer", recipe)
    save_bundle(classifier, small_rows / "tokenizer", LABELS, THRESHOLDS_L, folder)
    (folder / "README.md").write_text("# A model\n")
    (folder / "pytorch_model.bin").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    return write_labelled(tmp_path_factory.mktemp("labelled") / "set")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("command", LINES)
def test_tokenizer_that_did_not_arrive_is_refused(
    command, fault, model, small_rows, labels, tmp_path, monkeypatch, capsys
):
    broken, out = shutil.copytree(model, tmp_path / "broken"), tmp_path / "out"
    for name in TOKENIZER_NAMES:
        (broken / name).unlink(missing_ok=True)
    fault(broken)
    places = {"corpus": small_rows / "corpus", "rows": small_rows / "rows", "good": model, "labels": labels}
    line = LINES[command].format(broken=broken, out=out, **places)
    monkeypatch.setattr(sys, "argv", ["stackbert", *command.split(), *line.split()])
    monkeypatch.setattr(cli, "prepare_tensorflow", lambda: None)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    *notes, message = capsys.readouterr().err.splitlines()
    assert message.startswith("stackbert: ")
    assert not any(note.startswith(("stackbert: ", "Traceback")) for note in notes)
    assert re.search(FAULTS[fault], message), message
    assert str(broken) in message
    assert not out.exists()
