"""Conversion of PyTorch's .bin checkpoints to safetensors."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.numpy import save_file

from pretrain.model.checkpoint import PYTORCH_FILE, WEIGHTS_FILE, CheckpointError, Weights, load_checkpoint
from stackbert.core.artifact import Manifest, build_artifact
from stackbert.core.checkpoints import from_hub
from tokenizer.encoding.tokenizer_checks import found_files
from tokenizer.encoding.tokenizer_files import load_tokenizer, write_tokenizer


def convert_checkpoint(base: str, out: Path) -> Manifest:
    """Convert the checkpoint `base`, a folder or a hub id with PYTORCH_FILE, to safetensors in the folder `out`.

    PyTorch reads the file with `weights_only`, which refuses anything but tensors. Raises CheckpointError where it
    does, where PyTorch is not installed, or where the tensors are not those of a supported family.
    """
    folder = Path(base) if Path(base).is_dir() else from_hub(base, (PYTORCH_FILE,))
    source = folder / PYTORCH_FILE
    if not source.is_file():
        raise CheckpointError(f"{folder}: no {PYTORCH_FILE} to convert")
    load_tokenizer(folder)  # raises before PyTorch reads gigabytes
    needed = [name for name in ("config.json",) if (folder / name).is_file()]
    inputs = {name: folder / name for name in (PYTORCH_FILE, *needed, *found_files(folder))}
    return build_artifact(out, "pretrain convert", {}, inputs, lambda staging: _convert(source, needed, staging))


def _convert(source: Path, names: list[str], staging: Path) -> dict[str, int]:
    tensors = _read(source)
    save_file(tensors, staging / WEIGHTS_FILE, metadata={"format": "pt"})
    for name in names:
        shutil.copyfile(source.parent / name, staging / name)
    write_tokenizer(source.parent, staging)
    load_checkpoint(staging)  # raises where tensors are missing or unexpected
    print(f"converted {len(tensors)} tensors of {source} to {WEIGHTS_FILE}")
    return {"tensors": len(tensors), "weights": sum(tensor.size for tensor in tensors.values())}


def _read(source: Path) -> Weights:
    try:
        import torch
    except ImportError:
        raise CheckpointError("pretrain convert needs PyTorch: pip install 'stackbert[convert]'") from None
    try:
        stored = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # corrupt and malicious files raise many kinds
        first = str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{source}: PyTorch cannot read it as plain tensors: {first}") from None
    if not isinstance(stored, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in stored.values()):
        raise CheckpointError(f"{source}: does not hold named tensors only")
    plain = {name: tensor.float() if tensor.dtype == torch.bfloat16 else tensor for name, tensor in stored.items()}
    # copies, because safetensors refuses tensors that share memory
    return {name: tensor.detach().contiguous().numpy().copy() for name, tensor in plain.items()}
