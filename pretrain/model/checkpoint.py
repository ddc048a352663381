"""Hugging Face checkpoints as named arrays: load, save, change; safetensors only, which cannot hold code."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - registers bfloat16 with numpy, and so with safetensors
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pretrain.model.architecture import Architecture, hugging_face_names, read_architecture, weight_shapes
from stackbert.core.errors import StackbertError
from tokenizer.encoding.tokenizer_files import write_tokenizer

WEIGHTS_FILE = "model.safetensors"
PYTORCH_FILE = "pytorch_model.bin"
UNSAFE_SUFFIXES = (".bin", ".h5", ".pt", ".pth", ".ckpt", ".msgpack", ".pkl", ".keras")
# ignored tensors: heads of other tasks, and copies of other tensors
IGNORED = (
    *(
        "pooler.",
        "cls.seq_relationship.",
        "classifier.",
        "pre_classifier.",
        "cls.predictions.decoder.",
        "lm_head.decoder.",
    ),
    *("vocab_projector.weight", "position_ids"),
)
CLASS_NAMES = {
    "bert": "BertForMaskedLM",
    "distilbert": "DistilBertForMaskedLM",
    "roberta": "RobertaForMaskedLM",
    "camembert": "CamembertForMaskedLM",
}
COPIED_BIASES = {"cls.predictions.decoder.bias": "cls.predictions.bias", "lm_head.decoder.bias": "lm_head.bias"}
OLD_NORM_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

Weights = dict[str, npt.NDArray[np.float32]]
"""Arrays by name."""


class CheckpointError(StackbertError):
    """A checkpoint that is unreadable, of an unsupported family, or incomplete."""


@dataclass(frozen=True)
class Checkpoint:
    """An encoder's weights under the names of `architecture.weight_shapes`, and its `config.json`."""

    architecture: Architecture
    config: dict[str, Any]
    """The content of `config.json`."""
    weights: Weights
    has_mlm_head: bool
    """False where the head was missing and `new_head` initialised it."""


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read `config.json` and `model.safetensors` from `folder`.

    Raises CheckpointError that lists missing, unexpected or wrongly shaped tensors, or names the unsafe file that is
    there instead.
    """
    config_path, weights_path = folder / "config.json", folder / WEIGHTS_FILE
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder")
    if not weights_path.is_file():
        unsafe = sorted(path.name for path in folder.iterdir() if path.suffix in UNSAFE_SUFFIXES)
        remedy = (
            f"convert it with 'stackbert pretrain convert {folder} --out OUT' (pip install 'stackbert[convert]')"
            if PYTORCH_FILE in unsafe
            else f"use a version of the checkpoint that has {WEIGHTS_FILE}"
        )
        hint = f"; {', '.join(unsafe)} can run code when loaded, so it is refused: {remedy}" if unsafe else ""
        raise CheckpointError(f"{folder}: no {WEIGHTS_FILE}{hint}")
    try:
        config = json.loads(config_path.read_text("utf-8"))
        stored = load_file(weights_path)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{config_path}: holds a {type(config).__name__}, not an object")
    architecture = read_architecture(config, str(config_path))
    tensors = _canonical(stored, architecture)
    weights, has_head = _ours(tensors, architecture, folder)
    return Checkpoint(architecture, config, weights, has_head)


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
    """Write `config.json`, `model.safetensors` (float32, with the MLM head or the task's) and the tokenizer."""
    config = {
        **checkpoint.config,
        **(task.config if task else {}),
        "vocab_size": checkpoint.architecture.vocab_size,
        "max_position_embeddings": checkpoint.architecture.max_positions,
        "architectures": [task.class_name if task else CLASS_NAMES[checkpoint.architecture.family]],
        "dtype": "float32",
    }
    config.pop("torch_dtype", None)
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    tensors = hugging_face_tensors(checkpoint, with_mlm_head=task is None) | (task.tensors if task else {})
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    if tokenizer != folder:
        write_tokenizer(tokenizer, folder)


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

    RoBERTa counts positions from the padding id, so its position table shifts with that id.
    """
    architecture = replace(checkpoint.architecture, vocab_size=len(word_VH))
    weights = checkpoint.weights | {"embeddings/word": word_VH, "mlm/bias": bias_V}
    if architecture.prefix == "roberta":
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
    """The checkpoint with a position table for `length` tokens, made of copies of its own.

    As Longformer extends RoBERTa's (Beltagy et al. 2020, arXiv 2004.05150, section 5): attention to neighbouring
    positions still works everywhere except where two copies meet.
    """
    architecture = checkpoint.architecture
    table_PH = checkpoint.weights["embeddings/position"]
    unread_PH, read_PH = np.split(table_PH, [architecture.first_position])
    repeats = -(-length // len(read_PH))
    longer_PH = np.concatenate([unread_PH, np.tile(read_PH, (repeats, 1))[:length]])
    return replace(
        checkpoint,
        architecture=replace(architecture, max_positions=len(longer_PH)),
        config=checkpoint.config | {"max_position_embeddings": len(longer_PH)},
        weights=checkpoint.weights | {"embeddings/position": longer_PH},
    )


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


def new_head(architecture: Architecture) -> Weights:
    """An MLM head for a checkpoint without one: identity kernel, LayerNorm of scale 1, biases 0.

    Logits are then the products of the hidden state with each word vector, which is better than random ones.
    """
    return {
        "mlm/dense/kernel": np.eye(architecture.hidden_dim, dtype=np.float32),
        "mlm/dense/bias": np.zeros(architecture.hidden_dim, np.float32),
        "mlm/norm/gamma": np.ones(architecture.hidden_dim, np.float32),
        "mlm/norm/beta": np.zeros(architecture.hidden_dim, np.float32),
        "mlm/bias": np.zeros(architecture.vocab_size, np.float32),
    }


def _canonical(stored: Weights, architecture: Architecture) -> Weights:
    """Tensors under the names of a full model: current LayerNorm names, and the family's prefix."""
    prefix = f"{architecture.prefix}."
    heads = ("cls.", "lm_head.", "vocab_", "classifier.", "pre_classifier.")
    tensors: Weights = {}
    for name, tensor in stored.items():
        for old, new in OLD_NORM_NAMES.items():
            name = name.replace(old, new)
        if not name.startswith((prefix, *heads)):
            name = prefix + name
        tensors[name] = tensor
    for copy, read in COPIED_BIASES.items():
        if copy in tensors:
            tensors.setdefault(read, tensors[copy])
    return tensors


def _ours(tensors: Weights, architecture: Architecture, folder: Path) -> tuple[Weights, bool]:
    names = hugging_face_names(architecture)
    expected = {theirs for group in names.values() for theirs in group}
    head = {theirs for ours, group in names.items() if ours.startswith("mlm/") for theirs in group}
    missing = expected - tensors.keys()
    has_head = bool(head & tensors.keys())
    unexpected = [n for n in tensors.keys() - expected if not any(ignored in n for ignored in IGNORED)]
    faults = [f"missing {name}" for name in sorted(missing - (set() if has_head else head))]
    faults += [f"unexpected {name}" for name in sorted(unexpected)]
    for name, shape in _stored_shapes(architecture).items():
        if name in tensors and tensors[name].shape != shape:
            faults.append(f"{name} has shape {tensors[name].shape}, not {shape}")
    if not faults:
        made = {} if has_head else new_head(architecture)
        weights = {
            ours: made[ours] if ours in made else _joined([tensors[name] for name in theirs], ours)
            for ours, theirs in names.items()
        }
        return weights, has_head
    listed = "\n  ".join(faults[:20]) + (f"\n  and {len(faults) - 20} more" if len(faults) > 20 else "")
    raise CheckpointError(f"{folder / WEIGHTS_FILE}: does not match its config.json:\n  {listed}")


def _stored_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Hugging Face name -> shape of each tensor that is read."""
    shapes = weight_shapes(architecture)
    stored: dict[str, tuple[int, ...]] = {}
    for ours, theirs in hugging_face_names(architecture).items():
        *inner, last = shapes[ours]
        shape = (*inner, last // len(theirs))
        stored |= dict.fromkeys(theirs, shape[::-1] if ours.endswith("/kernel") else shape)
    return stored


def _joined(tensors: list[npt.NDArray[np.float32]], ours: str) -> npt.NDArray[np.float32]:
    if ours.endswith("/kernel"):
        tensors = [tensor.T for tensor in tensors]
    return np.ascontiguousarray(np.concatenate(tensors, axis=-1), np.float32)
