"""Checks of this machine: versions, devices, disk, memory, and every stage once with a tiny model."""

import contextlib
import io
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from corpora.config import CorpusConfig, LabelConfig
from finetune.config import CompareConfig, FinetuneConfig
from pretrain.config import PretrainConfig
from stackbert.core.checkpoints import resolve_base
from stackbert.study import Study, run_study
from tokenizer.config import EncodeConfig, TokenizerConfig

GIGABYTE = 1e9
MIN_DISK, MIN_MEMORY = (
    5 * GIGABYTE,
    4 * GIGABYTE,
)  # bytes that the demo needs, with a margin: 1 GB of disk for packages, 2 GB of peak memory
OLDEST_PYTHON = (3, 11)
TENSORFLOWS = ("tensorflow-tpu", "tensorflow-cpu", "tensorflow")
TESTED_TENSORFLOW = ("2.20", "2.21")
PACKAGES = ("keras", "transformers", "tokenizers", "sentencepiece", "datasets", "scikit-learn", "numpy", "pyarrow")
TOPICS = {"mysql": "join two tables of a database", "numpy": "sum the rows of an array", "css": "centre a box"}
QUESTIONS = (
    "How do I",
    "How can one",
    "What is the way to",
    "Is there a quick way to",
    "Why can I not",
    "When should I",
)


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    good: bool
    detail: str
    """What was found and, if it is not good, what is needed."""


def examine(folder: Path) -> Iterator[Finding]:
    """Run every check; `folder` is where outputs will be written."""
    checks: dict[str, Callable[[], tuple[bool, str]]] = {
        "python": _python,
        "tensorflow": _tensorflow,
        "packages": _packages,
        "devices": _devices,
        "bfloat16": _bfloat16,
        "disk": lambda: _disk(folder),
        "memory": _memory,
        "base minilm": _minilm,
        "whole chain": _chain,
    }
    for name, check in checks.items():
        try:
            yield Finding(name, *check())
        except Exception as error:  # a failed check must not prevent the others
            yield Finding(name, False, f"{type(error).__name__}: {error}")


def _python() -> tuple[bool, str]:
    found = platform.python_version()
    good = tuple(map(int, platform.python_version_tuple()[:2])) >= OLDEST_PYTHON
    return good, found if good else f"{found}; 3.11 or newer is needed"


def _tensorflow() -> tuple[bool, str]:
    found = {name: _version(name) for name in TENSORFLOWS if _version(name)}
    if not found:
        return False, "not installed; pip install stackbert[cpu], [gpu] or [tpu]"
    listed = ", ".join(f"{name} {version}" for name, version in found.items())
    tested = all(str(version).startswith(TESTED_TENSORFLOW) for version in found.values())
    return tested, listed if tested else f"{listed}; tested with 2.20 and 2.21"


def _packages() -> tuple[bool, str]:
    versions = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in versions.items() if version is None and name != "keras"]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return not missing, listed + (f"; missing: {', '.join(missing)}" if missing else "")


def _devices() -> tuple[bool, str]:
    import tensorflow as tf

    names = [f"{device.device_type}" for device in tf.config.list_physical_devices()]
    return True, f"{', '.join(names)}; {os.cpu_count()} processors"


def _bfloat16() -> tuple[bool, str]:
    from pretrain.train.device import choose_dtype

    chosen = choose_dtype("auto").name
    return True, "faster than float32 and used" if chosen == "bfloat16" else "not faster than float32, which is used"


def _disk(folder: Path) -> tuple[bool, str]:
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / GIGABYTE:,.0f} GB free at {existing}"
    return free >= MIN_DISK, text if free >= MIN_DISK else f"{text}; {MIN_DISK / GIGABYTE:.0f} GB are recommended"


def _memory() -> tuple[bool, str]:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    good = total >= MIN_MEMORY
    text = f"{total / GIGABYTE:,.0f} GB"
    return good, text if good else f"{text}; {MIN_MEMORY / GIGABYTE:.0f} GB are recommended"


def _minilm() -> tuple[bool, str]:
    return True, f"at {resolve_base('minilm')}, sha256 verified"


def _chain() -> tuple[bool, str]:
    """A study of three made-up topics, from text to comparison, with a tiny model."""
    output = io.StringIO()
    quiet = contextlib.redirect_stdout(output), contextlib.redirect_stderr(output)
    with tempfile.TemporaryDirectory() as folder, quiet[0], quiet[1]:
        _write_posts(Path(folder) / "posts.jsonl")
        manifest = run_study(_small_study(Path(folder)))
    return True, f"corpora, tokenizer, pretrain and finetune work; the comparison took {manifest.seconds:.0f} s"


def _small_study(folder: Path) -> Study:
    table = CorpusConfig(source="table", path="posts.jsonl", title_column="title", tags_column="tags", processes=1)
    recipe = FinetuneConfig(max_length=16, head_epochs=2, epochs=1)
    return Study(
        out=str(folder / "out"),
        data=str(folder),
        corpora={"made up": table},
        labels=LabelConfig(num_labels=len(TOPICS)),
        tokenizer=TokenizerConfig(vocab_size=150),
        encode=EncodeConfig(row_length=32, validation_share=0.1),
        pretrain=PretrainConfig(base="random-tiny", tokens=1_024, batch_rows=8, evaluations=0, validation_rows=8),
        compare=CompareConfig(seeds=(0,), recipe=recipe),
    )


def _write_posts(path: Path) -> None:
    lines = [
        {"title": f"{question} {task} with {topic}, case {number}", "tags": [topic]}
        for number in range(10)
        for topic, task in TOPICS.items()
        for question in QUESTIONS
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
