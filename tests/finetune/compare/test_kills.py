"""A comparison that is killed, again and again, is continued by the same command with the same bytes."""

import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.compare.compare import compare
from finetune.config import CompareConfig
from stackbert.core.artifact import SCRATCH
from tests.finetune.processes import plain, start
from tests.finetune.questions import WITHOUT_BASELINES
from tests.pretrain.processes import finish
from tests.pretrain.runs import killed_after

KILLS = int(os.environ.get("STACKBERT_KILLS", "20"))
SECONDS = ("seconds", "texts_per_second", "memory")
"""What differs between two runs of one comparison."""


def outputs(out: Path) -> dict[str, bytes]:
    """Test probabilities and classifiers, by path."""
    files = [*out.glob("trials/**/*.npy"), *out.glob("models/*/*.safetensors"), *out.glob("models/*/classifier.json")]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def figures(value):
    """comparison.json without times and memory."""
    if isinstance(value, dict):
        return {name: figures(item) for name, item in value.items() if name not in SECONDS}
    return [figures(item) for item in value] if isinstance(value, list) else value


def check_same(out: Path, straight: Path) -> None:
    found, expected = outputs(out), outputs(straight)
    assert found.keys() == expected.keys() and len(expected) > 3
    assert [name for name in expected if found[name] != expected[name]] == []
    ours, theirs = (figures(json.loads((folder / "comparison.json").read_text("utf-8"))) for folder in (out, straight))
    assert ours == theirs
    assert not (out / SCRATCH).exists()


@pytest.fixture(scope="module")
def settings(config) -> CompareConfig:
    recipe = replace(config.recipe, epochs=3)
    return replace(config, recipe=recipe, save_seconds=0.0, **WITHOUT_BASELINES)


@pytest.fixture(scope="module")
def straight(labelled, tiny_base, settings, tmp_path_factory) -> Path:
    """The comparison that nothing interrupts."""
    out = tmp_path_factory.mktemp("straight") / "out"
    compare(labelled, {"generic": str(tiny_base)}, out, replace(settings, save_seconds=60.0))
    return out


def test_killed_within_both_trials_of_a_system(labelled, tiny_base, settings, straight, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    for step in (4, 30, 11):  # the last one is in the second trial: the first continues after step 30 and is finished
        with killed_after(step, monkeypatch):
            compare(labelled, {"generic": str(tiny_base)}, out, settings)
    compare(labelled, {"generic": str(tiny_base)}, out, settings)
    said = capsys.readouterr().err
    for where in ("seed 0: resuming at epoch 1, step 5", "seed 0: resuming at epoch 3, step 1"):
        assert where in said
    assert "seed 1: resuming at epoch 1, step 12" in said
    check_same(out, straight)


def newest(folder: Path) -> float:
    """When a file of the folder last changed."""
    times = []
    for path in folder.rglob("*"):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:  # replaced meanwhile
            continue
    return max(times, default=0.0)


@pytest.mark.slow
def test_kills_at_random_instants_leave_the_straight_comparison(labelled, tiny_base, settings, straight, tmp_path):
    chosen, out, killed = random.Random(5), tmp_path / "out", 0
    staging, arguments = tmp_path / "out.partial", (labelled, {"generic": str(tiny_base)}, tmp_path / "out")
    while killed < KILLS and not out.exists():
        before, process = newest(staging), start(*arguments, plain(settings))
        deadline = time.monotonic() + 300
        while newest(staging) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chosen.choice((0.0, 0.1, 1.0)) * chosen.random())
        process.kill()
        process.communicate()
        killed += 1
    print(f"killed {killed} times")
    assert finish(start(*arguments, plain(settings))) == [0]
    assert killed == KILLS, "the comparison is too short for so many kills"
    check_same(out, straight)
