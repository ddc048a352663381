"""Hugging Face checkpoints as plain weights, read and written; only safetensors, never code."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - from here on numpy, and so safetensors, knows bfloat16
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from pretrain.model.architecture import Architecture, hugging_face_names, read_architecture, weight_shapes
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import TOKENIZER_FILES

WEIGHTS_FILE = "model.safetensors"
PYTORCH_FILE = "pytorch_model.bin"
UNSAFE_SUFFIXES = (".bin", ".h5", ".pt", ".pth", ".ckpt", ".msgpack", ".pkl", ".keras")
# stored beside an encoder and not computed here: heads of other tasks, and copies of what is read anyway
PASSED_OVER = (
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

Weights = dict[str, np.ndarray]


class CheckpointError(StackbertError):
    """A checkpoint that cannot be read, is not of a supported family, or lacks tensors."""


@dataclass(frozen=True)
class Checkpoint:
    """An encoder's weights under our names (`architecture.weight_shapes`), with the configuration they came with."""

    architecture: Architecture
    config: dict[str, Any]
    """As `config.json` holds it."""
    weights: Weights
    has_mlm_head: bool
    """False where the head was missing and has been made: identity dense layer and zero bias."""


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read `config.json` and `model.safetensors` from `folder`.

    Raises CheckpointError listing missing, unexpected or mis-shaped tensors, or naming the unsafe file found instead.
    """
    config_path, weights_path = folder / "config.json", folder / WEIGHTS_FILE
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder")
    if not weights_path.is_file():
        unsafe = sorted(path.name for path in folder.iterdir() if path.suffix in UNSAFE_SUFFIXES)
        remedy = (
            f"make safetensors of it with 'stackbert pretrain convert {folder} --out OUT' "
            "(pip install 'stackbert[convert]')"
            if PYTORCH_FILE in unsafe
            else f"take a copy of the checkpoint that has {WEIGHTS_FILE}"
        )
        hint = f"; {', '.join(unsafe)} can run code when loaded and is refused: {remedy}" if unsafe else ""
        raise CheckpointError(f"{folder}: no {WEIGHTS_FILE}{hint}")
    try:
        config = json.loads(config_path.read_text("utf-8"))
        stored = load_file(weights_path)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{config_path}: holds a {type(config).__name__}, not a checkpoint's configuration")
    architecture = read_architecture(config, str(config_path))
    tensors = _canonical(stored, architecture)
    weights, has_head = _ours(tensors, architecture, folder)
    return Checkpoint(architecture, config, weights, has_head)


@dataclass(frozen=True)
class TaskHead:
    """What a checkpoint holds in place of the MLM head."""

    class_name: str
    """Of the model in transformers."""
    config: dict[str, Any]
    """Further entries of `config.json`."""
    tensors: Weights
    """Under their Hugging Face names."""


def save_checkpoint(checkpoint: Checkpoint, tokenizer: Path, folder: Path, task: TaskHead | None = None) -> None:
    """Write `config.json`, `model.safetensors` (float32, with the MLM head or the task's) and the tokenizer's files."""
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
    for name in TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)


def hugging_face_tensors(checkpoint: Checkpoint, with_mlm_head: bool = True) -> Weights:
    """Weights under Hugging Face names and layout: kernels (out, in), query, key and value apart."""
    tensors: Weights = {}
    for ours, theirs in hugging_face_names(checkpoint.architecture).items():
        if ours.startswith("mlm/") and not with_mlm_head:
            continue
        parts = np.split(checkpoint.weights[ours], len(theirs), axis=-1)
        for name, part in zip(theirs, parts, strict=True):
            tensors[name] = np.ascontiguousarray(part.T if ours.endswith("/kernel") else part, np.float32)
    return tensors


def with_vocabulary(
    checkpoint: Checkpoint, word_VH: np.ndarray, bias_V: np.ndarray, special_ids: dict[str, int]
) -> Checkpoint:
    """The checkpoint with another word table, tied decoder and MLM bias included; `special_ids` go into the config.

    Hugging Face's RoBERTa counts positions from the id of padding, so its position table moves with that id.
    """
    architecture = replace(checkpoint.architecture, vocab_size=len(word_VH))
    weights = checkpoint.weights | {"embeddings/word": word_VH, "mlm/bias": bias_V}
    if architecture.prefix == "roberta":
        shift = special_ids["pad_token_id"] + 1 - architecture.first_position
        table = weights["embeddings/position"]
        # the rows up to the id of padding are never read: they go, or are repeated, so that a text's first token keeps
        # its vector
        table = np.concatenate([np.repeat(table[:1], max(shift, 0), axis=0), table[max(-shift, 0) :]])
        weights["embeddings/position"] = table
        architecture = replace(
            architecture, first_position=architecture.first_position + shift, max_positions=len(table)
        )
    config = checkpoint.config | special_ids | {"max_position_embeddings": architecture.max_positions}
    config["vocab_size"] = architecture.vocab_size
    return replace(checkpoint, architecture=architecture, config=config, weights=weights)


def random_weights(architecture: Architecture, seed: int) -> Weights:
    """New weights as BERT's: normal with deviation 0.02, biases 0, LayerNorm scales 1."""
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
    """An MLM head for a checkpoint without one.

    An identity, LayerNorm of scale 1 and no bias: logits then compare the hidden state with each word vector, a better
    start than noise.
    """
    return {
        "mlm/dense/kernel": np.eye(architecture.hidden_dim, dtype=np.float32),
        "mlm/dense/bias": np.zeros(architecture.hidden_dim, np.float32),
        "mlm/norm/gamma": np.ones(architecture.hidden_dim, np.float32),
        "mlm/norm/beta": np.zeros(architecture.hidden_dim, np.float32),
        "mlm/bias": np.zeros(architecture.vocab_size, np.float32),
    }


def _canonical(stored: Weights, architecture: Architecture) -> Weights:
    """Tensors under the names of a full model: older LayerNorm names renamed, the prefix put before bare ones."""
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
    unexpected = [n for n in tensors.keys() - expected if not any(part in n for part in PASSED_OVER)]
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
    raise CheckpointError(f"{folder / WEIGHTS_FILE}: does not fit its config.json:\n  {listed}")


def _stored_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Hugging Face name -> shape of each tensor that is read."""
    shapes = weight_shapes(architecture)
    stored: dict[str, tuple[int, ...]] = {}
    for ours, theirs in hugging_face_names(architecture).items():
        *inner, last = shapes[ours]
        part = (*inner, last // len(theirs))
        stored |= dict.fromkeys(theirs, part[::-1] if ours.endswith("/kernel") else part)
    return stored


def _joined(parts: list[np.ndarray], ours: str) -> np.ndarray:
    if ours.endswith("/kernel"):
        parts = [part.T for part in parts]
    return np.ascontiguousarray(np.concatenate(parts, axis=-1), np.float32)


def with_positions(checkpoint: Checkpoint, length: int) -> Checkpoint:
    """The checkpoint reading texts of `length` tokens: further positions take the vectors from the first on again.

    As Longformer's are made from RoBERTa's (Beltagy et al. 2020, arXiv 2004.05150, section 5): what a head knows of
    neighbouring positions then holds everywhere but at the seams.
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
