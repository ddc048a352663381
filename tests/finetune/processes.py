"""Comparisons in processes of their own: to share devices or machines, and to be killed."""

import subprocess
from pathlib import Path

from finetune.config import CompareConfig
from tests.pretrain.processes import LOGICAL_DEVICES, start_code

COMPARE = """
import json, sys
from pathlib import Path
from finetune.compare.compare import compare
from finetune.config import CompareConfig, FinetuneConfig
labels, checkpoints, out, settings = sys.argv[1:]
settings = json.loads(settings)
config = CompareConfig(**settings | {"recipe": FinetuneConfig(**settings["recipe"]), "seeds": tuple(settings["seeds"])})
compare(Path(labels), json.loads(checkpoints), Path(out), config)
"""


def plain(config: CompareConfig) -> dict:
    """The settings as JSON holds them."""
    return vars(config) | {"recipe": vars(config.recipe)}


def start(
    labels: Path,
    checkpoints: dict[str, str],
    out: Path,
    settings: dict,
    devices: int = 1,
    workers: dict | None = None,
) -> subprocess.Popen:
    """A comparison in a process with so many CPU devices; `workers` is the value of TF_CONFIG."""
    before = LOGICAL_DEVICES.format(count=devices) if devices > 1 else ""
    return start_code(before + COMPARE, labels, checkpoints, out, settings, workers=workers)
