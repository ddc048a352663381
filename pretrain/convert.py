"""Conversion of PyTorch's .bin checkpoints to safetensors."""

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from pretrain.model.checkpoint import load_checkpoint
from pretrain.model.sentence_encoder import DECLARING_FILES, carried_over
from pretrain.model.stored_tensors import (
    INDEX_FILE,
    PYTORCH_FILE,
    PYTORCH_INDEX_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    check_shard,
    listed,
    shard_files,
)
from stackbert.core.artifact import MANIFEST, Manifest, build_artifact, write_json
from stackbert.core.checkpoints import HUB_FILES, from_hub, resolve_base
from stackbert.core.errors import StackbertError
from tokenizer.files.tokenizer_checks import found_files
from tokenizer.files.tokenizer_files import load_tokenizer, write_tokenizer

PUBLISHED_FILES = (*HUB_FILES, PYTORCH_FILE, PYTORCH_INDEX_FILE, "pytorch_model-*-of-*.bin")
TOKENIZER_SETTINGS = "tokenizer_config.json"
CASED_SHARE = 0.1  # a third of the tokens of cased vocabularies have capitals, none of uncased ones
Tensors = dict[str, npt.NDArray[np.generic]]


def convert_checkpoint(base: str, out: Path) -> Manifest:
    """Convert the checkpoint `base` to safetensors in the folder `out`; its shards, if it has them, become one file.

    `base` is a folder or a hub id with PYTORCH_FILE or PYTORCH_INDEX_FILE. PyTorch reads the files with `weights_only`,
    which refuses anything but tensors. Raises CheckpointError where it does, where PyTorch is not installed, or where
    the tensors are not those of a supported family.
    """
    folder = Path(base) if Path(base).is_dir() else from_hub(base, PUBLISHED_FILES)
    weights = _weights_files(folder)
    load_tokenizer(folder)  # raises before PyTorch reads gigabytes
    needed = [name for name in ("config.json",) if (folder / name).is_file()]
    declaring = [name for name in DECLARING_FILES if (folder / name).is_file()]
    inputs = {name: folder / name for name in (*weights, *needed, *found_files(folder), *declaring)}
    return build_artifact(out, "pretrain convert", {}, inputs, lambda staging: _convert(folder, needed, staging))


def convert_where_needed(name: str, out: Path) -> str:
    """`name`, or the folder `out` with its conversion where the checkpoint is published as PyTorch files only.

    Raises CheckpointError where it must be converted and PyTorch is not installed.
    """
    folder = resolve_base(name)
    if any((folder / file).is_file() for file in (WEIGHTS_FILE, INDEX_FILE)):
        return name
    local = Path(name).is_dir()
    if local and not any((folder / file).is_file() for file in (PYTORCH_FILE, PYTORCH_INDEX_FILE)):
        return name  # without any weights, which is said where they are read
    if not (out / MANIFEST).is_file() and find_spec("torch") is None:
        raise CheckpointError(
            f"{name}: has no {WEIGHTS_FILE}, and the conversion of a {PYTORCH_FILE} needs PyTorch: pip install "
            f"'stackbert[convert]'; or, where that is installed, run 'stackbert pretrain convert {name} --out FOLDER', "
            "and name FOLDER in its place"
        )
    print(f"\n== converted {name} -> {out}", flush=True)
    convert_checkpoint(name, out)
    return str(out)


def _weights_files(folder: Path) -> list[str]:
    if (folder / PYTORCH_FILE).is_file():
        return [PYTORCH_FILE]
    index = folder / PYTORCH_INDEX_FILE
    if index.is_file():
        return [PYTORCH_INDEX_FILE, *sorted(shard_files(index))]
    raise CheckpointError(f"{folder}: no {PYTORCH_FILE} to convert, and no {PYTORCH_INDEX_FILE}")


def _convert(folder: Path, names: list[str], staging: Path) -> dict[str, int]:
    source, *shards = (folder / name for name in _weights_files(folder))
    tensors = _read_shards(source) if shards else _read(source)
    save_file(tensors, staging / WEIGHTS_FILE, metadata={"format": "pt"})
    for name in names:
        shutil.copyfile(folder / name, staging / name)
    try:
        checkpoint = load_checkpoint(staging)  # raises where tensors are missing or unexpected
    except StackbertError as error:
        said = str(error).replace(str(staging / WEIGHTS_FILE), str(source)).replace(str(staging), str(folder))
        raise CheckpointError(said) from error
    sentence_encoder, notes = carried_over(folder)
    if sentence_encoder:
        sentence_encoder.save(staging, checkpoint.architecture.hidden_dim)
    for note in (*checkpoint.notes, *notes):
        print(note)
    write_json(staging / "config.json", checkpoint.config)  # with model_type and no null, as transformers reads it
    write_tokenizer(folder, staging)
    _keep_case(staging)
    written = load_file(staging / WEIGHTS_FILE)
    if written.keys() != tensors.keys() or any(written[name].tobytes() != tensors[name].tobytes() for name in tensors):
        raise CheckpointError(f"{staging / WEIGHTS_FILE}: what was written differs from {source}; check the disk")
    print(f"converted {len(tensors)} tensors of {source} to {WEIGHTS_FILE}")
    return {"tensors": len(tensors), "weights": sum(tensor.size for tensor in tensors.values())}


def _keep_case(folder: Path) -> None:
    """Write the missing settings of a cased vocab.txt, without which BERT's tokenizer folds case.

    SciBERT's cased checkpoint is published so, and every text would be read in lower case.
    """
    vocabulary = folder / "vocab.txt"
    if not vocabulary.is_file() or any((folder / name).is_file() for name in ("tokenizer.json", TOKENIZER_SETTINGS)):
        return
    tokens = vocabulary.read_text("utf-8").split()
    cased = sum(token != token.lower() for token in tokens if not token.startswith("["))
    if cased > CASED_SHARE * len(tokens):
        write_json(folder / TOKENIZER_SETTINGS, {"do_lower_case": False})
        load_tokenizer(folder)
        print(f"{cased:,} of {len(tokens):,} tokens have capitals, so {TOKENIZER_SETTINGS} was added: case is kept")


def _read_shards(index: Path) -> Tensors:
    tensors: Tensors = {}
    for file, promised in sorted(shard_files(index).items()):
        found = _read(index.parent / file)
        check_shard(index, file, promised, found)
        tensors |= found
    return tensors


def _read(source: Path) -> Tensors:
    try:
        import torch
    except ImportError:
        raise CheckpointError("pretrain convert needs PyTorch: pip install 'stackbert[convert]'") from None
    try:
        stored = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # corrupt and malicious files raise many kinds
        first = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{source}: PyTorch cannot read it as plain tensors: {first}") from None
    items = stored.items() if isinstance(stored, Mapping) else [(None, stored)]
    others = [
        f"{name!r}, a {type(each).__name__}"
        for name, each in items
        if not (isinstance(name, str) and torch.is_tensor(each))
    ]
    if others:
        raise CheckpointError(
            f"{source}: does not hold named tensors only, but {listed(others, 3)}; save the model's state_dict alone"
        )
    # copies, because safetensors refuses tensors that share memory; numpy has no bfloat16
    return {
        name: _array(source, name, tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
        for name, tensor in stored.items()
    }


def _array(source: Path, name: str, tensor: Any) -> npt.NDArray[np.generic]:
    try:
        array: npt.NDArray[np.generic] = tensor.detach().contiguous().numpy().copy()
    except (TypeError, RuntimeError) as error:  # quantised, sparse, or of a type that numpy lacks
        raise CheckpointError(
            f"{source}: {name} is a {tensor.dtype} tensor that cannot be converted; use the checkpoint before its "
            "quantisation"
        ) from error
    return array
