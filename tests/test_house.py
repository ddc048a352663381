"""The rules of the house, held by its sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("corpora", "tokenizer", "pretrain", "finetune")  # a room imports only from itself and those before it
SOURCES = [ROOT / "stackbert.py", *sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
LONGEST = 350  # lines a file

FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "load_model", "system", "popen", "unsafe_load"}
FORBIDDEN_ARGUMENTS = {"shell": True, "allow_pickle": True, "trust_remote_code": True}

by_name = pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(ROOT).as_posix() for path in SOURCES])


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imported(module: ast.Module) -> set[str]:
    """First names of all imported modules."""
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their room"
            names.add((node.module or "").split(".")[0])
    return names


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def dangers(module: ast.Module) -> list[str]:
    found = sorted(imported(module) & FORBIDDEN_MODULES)
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
    assert len(SOURCES) > 30
    assert all(any(path.parent.name == room for path in SOURCES) for room in ROOMS)


@by_name
def test_a_room_imports_only_from_rooms_before_it(path):
    room = path.parent.name
    allowed = set(ROOMS) if path.name == "stackbert.py" else set(ROOMS[: ROOMS.index(room) + 1])
    assert imported(tree(path)) & {*ROOMS, "stackbert", "tests"} <= allowed


@by_name
def test_nothing_that_runs_what_it_reads(path):
    assert dangers(tree(path)) == []


@by_name
def test_no_file_is_long(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


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
