"""The documentation says what is so: settings, commands, options, links, paths and tests that it names exist."""

import ast
import dataclasses
import importlib.util
import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

from stackbert.cli import COMMANDS, RunOptions, doctor
from stackbert.planning.config import StudyPlanConfig
from stackbert.study import load_study
from tests.paths import ROOT

DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(DOCS.rglob("*.md"))
TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]  # a changelog names what is no more
CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^]\n]*\]\(([^)\s]+)\)")
FOLDERS = "tests|docs|studies|corpora|tokenizer|pretrain|finetune|stackbert"
REPOSITORY_PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*")
MODULE = re.compile(r"\bpython -m ([\w.]+)")

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
today_by_name = pytest.mark.parametrize("page", TODAY, ids=lambda page: page.relative_to(ROOT).as_posix())


def make_settings() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_settings", DOCS / "make_settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in CODE.findall(page.read_text("utf-8")) if language in languages]


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The words of each command in a page's shell blocks, without comments; a line that goes on counts as one."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def stackbert_calls(page: Path) -> Iterator[list[str]]:
    """The arguments of each call of stackbert."""
    for words in shell_lines(page):
        if Path(words[0]).name == "stackbert":
            yield words[1:]


def option_names(hint: Any, prefix: str = "") -> set[str]:
    """The options of a configuration, those of its sections without the section's name."""
    if not dataclasses.is_dataclass(hint):
        return {prefix}
    hints = get_type_hints(hint)
    return {name for field in dataclasses.fields(hint) for name in option_names(hints[field.name], field.name)}


def command_options(command: str) -> set[str]:
    function = doctor if command == "doctor" else COMMANDS[command]
    hints = get_type_hints(function)
    names = {option for name in inspect.signature(function).parameters for option in option_names(hints[name], name)}
    return names | {"help"}


def study_options() -> set[str]:
    """The options of 'stackbert run', by their dotted names; of a corpus, whatever its name."""

    def dotted(config: type, prefix: str) -> Iterator[str]:
        hints = get_type_hints(config)
        for field in dataclasses.fields(config):
            if dataclasses.is_dataclass(hints[field.name]):
                yield from dotted(hints[field.name], f"{prefix}{field.name}.")
            else:
                yield prefix + field.name

    return set(dotted(RunOptions, ""))


def named_options(arguments: list[str]) -> set[str]:
    found = (word[2:].split("=")[0].replace("-", "_") for word in arguments if word.startswith("--"))
    return {name.removeprefix("no_") for name in found}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_settings_page_is_current():
    assert make_settings().settings_page() == (DOCS / "settings.md").read_text("utf-8"), "python docs/make_settings.py"


def test_settings_page_has_every_setting_of_every_command():
    page = (DOCS / "settings.md").read_text("utf-8")
    for function in COMMANDS.values():
        for hint in get_type_hints(function).values():
            for name in option_names(hint) if dataclasses.is_dataclass(hint) else ():
                assert f"| `{name}` |" in page


@pytest.mark.parametrize("command", ["run", "plan", "doctor", *COMMANDS])
def test_every_command_has_a_line_and_an_example(command):
    sections = re.split(r"^### ", (DOCS / "cli.md").read_text("utf-8"), flags=re.MULTILINE)
    [section] = [section for section in sections if section.startswith(f"`{command}`\n")]
    assert re.search(r"^[A-Z].+\.$", section, re.MULTILINE)
    assert f"\nstackbert {command}" in section


@today_by_name
def test_named_commands_and_options_exist(page):
    for arguments in stackbert_calls(page):
        if arguments[0] in ("run", "plan"):
            own = option_names(StudyPlanConfig) if arguments[0] == "plan" else set()
            assert named_options(arguments) <= study_options() | own, arguments
            continue
        command = arguments[0] if arguments[0] == "doctor" else " ".join(arguments[:2])
        assert command == "doctor" or command in COMMANDS, arguments
        assert named_options(arguments) <= command_options(command), arguments


@today_by_name
def test_named_settings_exist(page, tmp_path):
    for block in blocks(page, "toml"):
        (tmp_path / "study.toml").write_text(block, "utf-8")
        load_study(tmp_path / "study.toml")


@by_name
def test_links_lead_somewhere(page):
    for link in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if link.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@today_by_name
def test_named_files_and_modules_exist(page):
    text = page.read_text("utf-8")
    for path in REPOSITORY_PATH.findall(text):
        assert "NAME" in path or (ROOT / path.rstrip(".")).exists(), path
    for module in MODULE.findall(text):
        assert importlib.util.find_spec(module), module


def python_blocks(page: Path) -> list[str]:
    """The Python code of a page or notebook."""
    if page.suffix != ".ipynb":
        return blocks(page, "python")
    return [
        "".join(cell["source"]) for cell in json.loads(page.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"
    ]


@pytest.mark.parametrize("page", [*TODAY, *DOCS.rglob("*.ipynb")], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_imported_names_of_the_project_exist(page):
    imports = [node for block in python_blocks(page) for node in ast.walk(ast.parse(block))]
    for node in [node for node in imports if isinstance(node, ast.ImportFrom)]:
        if str(node.module).partition(".")[0] in FOLDERS.split("|"):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, each.name) for each in node.names), ast.unparse(node)


@today_by_name
def test_named_tests_exist(page):
    for command in re.findall(r"\bpytest ([^`\n]+)", page.read_text("utf-8")):
        words = command.split()
        chosen = [words[number + 1] for number, word in enumerate(words[:-1]) if word == "-k"]
        for path in [ROOT / word for word in words if word.startswith("tests")]:
            files = [path] if path.is_file() else [*path.rglob("test_*.py")]
            names = [name for file in files for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))]
            assert names, command
            assert all(any(part in name for name in names) for part in chosen), command


def test_pages_build_without_a_warning(tmp_path):
    for module in ("sphinx", "myst_parser", "furo"):
        if not importlib.util.find_spec(module):
            pytest.skip(f"{module} is not installed")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", str(DOCS), str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
