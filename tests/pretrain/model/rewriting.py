"""Changes the files of a checkpoint that a test has written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from pretrain.model.checkpoint import load_checkpoint
from tests.pretrain.tiny import tiny_checkpoint

LAYER = "bert.encoder.layer.1"


DECODER, WORD = "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"


Tensors = dict[str, np.ndarray]


def rewrite(folder: Path, change: Callable[[Tensors], Tensors], **config) -> None:
    """Replace the tensors by change(tensors), and entries of config.json."""
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")
    fields = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(fields))


def add(folder: Path, **shapes: tuple[int, ...]) -> None:
    """Add tensors; '__' in a name stands for '.'."""
    made = {name.replace("__", "."): np.ones(shape, "f4") for name, shape in shapes.items()}
    rewrite(folder, lambda tensors: tensors | made)


def assert_encoder_is(family: str, folder: Path) -> None:
    loaded = load_checkpoint(folder)
    for name, expected in tiny_checkpoint(family).weights.items():
        if loaded.has_mlm_head or not name.startswith("mlm/"):
            np.testing.assert_array_equal(loaded.weights[name], expected, err_msg=name)
