"""The rules of the house, held by its sources."""

import ast
import importlib.util
import inspect
import textwrap
from collections import defaultdict
from pathlib import Path

import pytest

from stackbert.cli import COMMANDS
from tests.paths import ROOT

ROOMS = ("corpora", "tokenizer", "pretrain", "finetune")
PACKAGES = ("stackbert", *ROOMS)
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LAYERS = ("stackbert.core", *ROOMS, "stackbert")
"""From the foundation up: a layer imports from itself and those before it."""
LONGEST_FILE, LONGEST_FUNCTION = 300, 40  # lines
LARGEST_FOLDER = 15  # Python files

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "load_model", "system", "popen", "unsafe_load"}
FORBIDDEN_ARGUMENTS = {"shell": True, "allow_pickle": True, "trust_remote_code": True}

by_name = pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(ROOT).as_posix() for path in SOURCES])


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(module: ast.Module) -> set[str]:
    """Dotted names of all imported modules."""
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their room"
            package = node.module or ""
            names |= {f"{package}.{alias.name}" for alias in node.names} if is_folder(package) else {package}
    return names


def is_folder(module: str) -> bool:
    return (ROOT / module.replace(".", "/")).is_dir()


def layer_of(module: str) -> str:
    return "stackbert.core" if module.startswith("stackbert.core") else module.split(".")[0]


def step_of(module: str) -> str:
    """The folder that a module is in; a file at the top of a room, such as its configuration, is a step of its own."""
    parts = module.split(".")
    return ".".join(parts[:-1]) if len(parts) > 2 else module


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """The names on one circle of arrows; none where there is none."""
    done: set[str] = set()

    def follow(name: str, walked: list[str]) -> list[str]:
        if name in walked:
            return [*walked[walked.index(name) :], name]
        if name in done:
            return []
        found = next((ring for other in sorted(arrows.get(name, ())) if (ring := follow(other, [*walked, name]))), [])
        done.add(name)
        return found

    return next((ring for name in sorted(arrows) if (ring := follow(name, []))), [])


def long_functions(module: ast.Module) -> list[str]:
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [each.name for each in functions if (each.end_lineno or 0) - each.lineno >= LONGEST_FUNCTION]


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def dangers(module: ast.Module) -> list[str]:
    found = sorted({name.split(".")[0] for name in imported(module)} & FORBIDDEN_MODULES)
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            found += [called(node)] if called(node) in FORBIDDEN_CALLS else []
            for argument in node.keywords:
                constant = argument.value.value if isinstance(argument.value, ast.Constant) else None
                if argument.arg in FORBIDDEN_ARGUMENTS and constant is not False:
                    found.append(str(argument.arg))
    return found


def undocumented(module: ast.Module) -> list[str]:
    """Public classes and functions without a docstring, and methods of more than two lines."""
    missing = [] if ast.get_docstring(module) else ["the module"]
    pending = list(module.body)
    while pending:
        node = pending.pop()
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            pending += node.body
        is_short = isinstance(node, ast.FunctionDef) and len(node.body) <= 2 and node not in module.body
        if not ast.get_docstring(node) and not is_short:
            missing.append(node.name)
    return missing


def test_there_are_sources():
    assert len(SOURCES) > 100
    assert all(any(path.is_relative_to(ROOT / package) for path in SOURCES) for package in PACKAGES)


@by_name
def test_a_layer_imports_only_from_layers_before_it(path):
    layer = layer_of(module_of(path))
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    named = {layer_of(name) for name in imported(tree(path)) if name.split(".")[0] in PACKAGES}
    assert named <= allowed
    assert not any(name.split(".")[0] == "tests" for name in imported(tree(path)))


def test_folders_form_no_circle():
    arrows = defaultdict(set)
    for path in SOURCES:
        step = step_of(module_of(path))
        names = [name for name in imported(tree(path)) if name.split(".")[0] in PACKAGES]
        arrows[step] |= {step_of(name) for name in names if not is_folder(name)} - {step}
    assert circle(arrows) == []
    assert len(arrows) > 20


def test_the_search_for_circles_finds_them():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_crowded(package):
    for folder in {path.parent for path in (ROOT / package).rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= LARGEST_FOLDER, folder


@by_name
def test_no_function_is_long(path):
    assert long_functions(tree(path)) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_verb_calls_is_in_the_file_of_its_name(command):
    room, verb = command.split()
    stems = {path.stem for path in SOURCES if path.is_relative_to(ROOT / room)}
    assert verb.replace("-", "_") in stems
    called = ast.parse(textwrap.dedent(inspect.getsource(COMMANDS[command])))
    modules = {name for name in imported(called) if name.split(".")[0] == room}
    assert verb.replace("-", "_") in {name.split(".")[-1] for name in modules}
    assert all(importlib.util.find_spec(name) for name in modules)


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.stem)
def test_tests_mirror_the_tree(path):
    folder = path.parent.relative_to(ROOT / "tests")
    assert (ROOT / folder).is_dir()


@by_name
def test_nothing_that_runs_what_it_reads(path):
    assert dangers(tree(path)) == []


@by_name
def test_no_file_is_long(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@by_name
def test_everything_public_is_documented(path):
    assert undocumented(tree(path)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "run(x, shell=True)",
        "np.load(x, allow_pickle=flag)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "keras.models.load_model(x)",
        "os.system(x)",
    ],
)
def test_the_search_for_dangers_finds_them(line):
    assert dangers(ast.parse(line))
