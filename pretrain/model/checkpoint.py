"""Hugging Face checkpoints as named arrays: load, save, change; safetensors only, which cannot hold code."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from pretrain.model.architecture import (
    Architecture,
    hugging_face_names,
    read_architecture,
    weight_shapes,
)
from pretrain.model.stored_tensors import (
    INDEX_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    StoredTensors,
    open_tensors,
)
from pretrain.model.tensor_names import family_of, find_root, plain_name
from pretrain.model.weights import Weights, read_weights
from stackbert.core.checkpoints import read_config
from stackbert.core.families.table import FAMILIES
from tokenizer.files.tokenizer_files import write_tokenizer

NOT_EXPORTED = ("torch_dtype", "_name_or_path", "auto_map", "tie_word_embeddings")
"""Entries of `config.json` that need not hold for what is written: the family's own class, with tied tables."""


@dataclass(frozen=True)
class Checkpoint:
    """An encoder's weights under the names of `architecture.weight_shapes`, and its `config.json`."""

    architecture: Architecture
    config: dict[str, Any]
    """The content of `config.json`, without nulls: they stand for defaults."""
    weights: Weights
    has_mlm_head: bool
    """False where the head was missing and `new_head` initialised it."""
    notes: tuple[str, ...] = ()
    """How its files differ from such a checkpoint: names that were read otherwise, tensors that were passed over."""


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read `config.json` and `model.safetensors`, or its shards, from `folder`.

    Heads of other tasks are passed over, and the notes say so. Raises CheckpointError that lists missing, unexpected or
    wrongly shaped tensors, or names the unsafe file that is there instead; StackbertError for another family.
    """
    stored, config_path = open_tensors(folder), folder / "config.json"
    config, notes = read_config(folder), []
    if stored.path.name == WEIGHTS_FILE and (folder / INDEX_FILE).is_file():
        notes.append(f"{WEIGHTS_FILE} was read, not the shards of {INDEX_FILE} beside it")
    if "model_type" not in config:
        config["model_type"] = _family(config, stored, config_path)
        notes.append(f"config.json has no model_type; the checkpoint is read as {config['model_type']}")
    architecture = read_architecture(config, str(config_path))
    weights, has_head, tensor_notes = read_weights(stored, architecture, config)
    return Checkpoint(architecture, config, weights, has_head, (*notes, *tensor_notes))


def _family(config: dict[str, Any], stored: StoredTensors, config_path: Path) -> str:
    family = family_of(config, find_root(map(plain_name, stored.by_name), stored.path))
    if family is None:
        raise CheckpointError(f"{config_path}: has no model_type; add it, one of {', '.join(FAMILIES)}")
    return family


@dataclass(frozen=True)
class TaskHead:
    """A task's head, saved in place of the MLM head."""

    class_name: str
    """Model class in transformers."""
    config: dict[str, Any]
    """Further entries of `config.json`."""
    tensors: Weights
    """By Hugging Face name."""


def save_checkpoint(checkpoint: Checkpoint, tokenizer: Path, folder: Path, task: TaskHead | None = None) -> None:
    """Write `config.json`, `model.safetensors` (float32, with its MLM head or the task's) and the tokenizer.

    What was written is loaded and compared; raises CheckpointError where it differs or where values are not finite.
    """
    with_mlm_head = task is None and checkpoint.has_mlm_head
    class_name = checkpoint.architecture.family.class_prefix + ("ForMaskedLM" if with_mlm_head else "Model")
    config = {
        **checkpoint.config,
        **(task.config if task else {}),
        "vocab_size": checkpoint.architecture.vocab_size,
        "max_position_embeddings": checkpoint.architecture.max_positions,
        "architectures": [task.class_name if task else class_name],
        "dtype": "float32",
    }
    config = {name: value for name, value in config.items() if name not in NOT_EXPORTED}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    tensors = hugging_face_tensors(checkpoint, with_mlm_head) | (task.tensors if task else {})
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    if tokenizer != folder:
        write_tokenizer(tokenizer, folder)
    _compare_written(checkpoint, task.tensors if task else {}, folder)


def _compare_written(checkpoint: Checkpoint, task_tensors: Weights, folder: Path) -> None:
    """Raise CheckpointError where the checkpoint in `folder` is not the one that was to be written."""
    written, stored = load_checkpoint(folder), open_tensors(folder)
    differing = [
        name
        for name, array in checkpoint.weights.items()
        if (written.has_mlm_head or not name.startswith("mlm/"))
        and not np.array_equal(written.weights[name], array.astype(np.float32, copy=False))
    ]
    differing += [name for name, array in task_tensors.items() if not np.array_equal(stored.read(name), array)]
    if not task_tensors and written.has_mlm_head != checkpoint.has_mlm_head:
        differing.append("the MLM head")
    if written.architecture != checkpoint.architecture:
        differing.append("config.json")
    if differing:
        raise CheckpointError(
            f"{folder}: what was written differs from what was to be written in {differing[0]}; check the disk, and "
            "run the command again"
        )


def hugging_face_tensors(checkpoint: Checkpoint, with_mlm_head: bool = True) -> Weights:
    """Weights under Hugging Face names and layout: kernels are (out, in); query, key and value are separate."""
    tensors: Weights = {}
    for ours, theirs in hugging_face_names(checkpoint.architecture).items():
        if ours.startswith("mlm/") and not with_mlm_head:
            continue
        arrays = np.split(checkpoint.weights[ours], len(theirs), axis=-1)
        for name, array in zip(theirs, arrays, strict=True):
            tensors[name] = np.ascontiguousarray(array.T if ours.endswith("/kernel") else array, np.float32)
    return tensors


def with_vocabulary(
    checkpoint: Checkpoint,
    word_VH: npt.NDArray[np.float32],
    bias_V: npt.NDArray[np.float32],
    special_ids: dict[str, int],
) -> Checkpoint:
    """The checkpoint with another word table (and so decoder) and MLM bias; `special_ids` go into its config.

    Where the family counts positions from the padding id, its position table shifts with that id.
    """
    architecture = replace(checkpoint.architecture, vocab_size=len(word_VH))
    weights = checkpoint.weights | {"embeddings/word": word_VH, "mlm/bias": bias_V}
    if architecture.family.counts_from_padding:
        shift = special_ids["pad_token_id"] + 1 - architecture.first_position
        table = weights["embeddings/position"]
        # rows up to the padding id are never read: dropping or repeating them keeps the vector of the first position
        table = np.concatenate([np.repeat(table[:1], max(shift, 0), axis=0), table[max(-shift, 0) :]])
        weights["embeddings/position"] = table
        architecture = replace(
            architecture, first_position=architecture.first_position + shift, max_positions=len(table)
        )
    config = checkpoint.config | special_ids | {"max_position_embeddings": architecture.max_positions}
    config["vocab_size"] = architecture.vocab_size
    return replace(checkpoint, architecture=architecture, config=config, weights=weights)


def with_positions(checkpoint: Checkpoint, length: int) -> Checkpoint:
    """The checkpoint with positions for `length` tokens: a table made of copies of its own, or further rotations.

    As Longformer extends RoBERTa's (Beltagy et al. 2020, arXiv 2004.05150, section 5): attention to neighbouring
    positions still works everywhere except where two copies meet.
    """
    architecture = checkpoint.architecture
    config = checkpoint.config | {"max_position_embeddings": architecture.first_position + length}
    architecture = replace(architecture, max_positions=config["max_position_embeddings"])
    if architecture.rotary_layers:
        return replace(checkpoint, architecture=architecture, config=config)
    table_PH = checkpoint.weights["embeddings/position"]
    unread_PH, read_PH = np.split(table_PH, [architecture.first_position])
    repeats = -(-length // len(read_PH))
    longer_PH = np.concatenate([unread_PH, np.tile(read_PH, (repeats, 1))[:length]])
    weights = checkpoint.weights | {"embeddings/position": longer_PH}
    return replace(checkpoint, architecture=architecture, config=config, weights=weights)


def random_weights(architecture: Architecture, seed: int) -> Weights:
    """BERT's initialisation: kernels and tables normal with deviation 0.02, biases 0, LayerNorm scales 1."""
    generator = np.random.default_rng([seed, 0x11])
    weights: Weights = {}
    for name, shape in weight_shapes(architecture).items():
        leaf = name.rpartition("/")[2]
        if leaf == "gamma":
            weights[name] = np.ones(shape, np.float32)
        elif leaf in ("beta", "bias"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            weights[name] = generator.normal(0, 0.02, shape).astype(np.float32)
    return weights
