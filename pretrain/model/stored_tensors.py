"""The tensors of a checkpoint folder, in one safetensors file or in shards: what is there, and their values by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes  # noqa: F401 - registers bfloat16 with numpy, and so with safetensors
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from stackbert.core.checkpoints import read_json_object
from stackbert.core.errors import StackbertError
from stackbert.core.printing import printable

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PYTORCH_FILE = "pytorch_model.bin"
PYTORCH_INDEX_FILE = "pytorch_model.bin.index.json"
ADAPTER_SETTINGS = "adapter_config.json"
PYTORCH_SUFFIXES = (".pt", ".pth", ".ckpt")
RUNTIMES = (".onnx", ".gguf", ".tflite", ".pb", ".ckpt.index", ".mlmodel")
"""Ends of files for inference only, or of TensorFlow 1."""
UNSAFE_SUFFIXES = (".bin", ".h5", ".pt", ".pth", ".ckpt", ".msgpack", ".pkl", ".keras")
FLOAT_DTYPES = ("F32", "F16", "BF16", "F64")
LFS_POINTER = b"version https://git-lfs"
"""First bytes of the file that Git leaves in place of weights which it has not downloaded."""


class CheckpointError(StackbertError):
    """A checkpoint that is unreadable, of an unsupported family, or incomplete; its text is printable."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor is, and what its file says of it."""

    file: Path
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class StoredTensors:
    """All tensors of a checkpoint, read one at a time."""

    path: Path
    """The weights file, or the index of the shards."""
    by_name: dict[str, StoredTensor]

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """The values of a tensor in float32; raises CheckpointError unless they are finite floating-point numbers."""
        tensor = self.by_name[name]
        if tensor.dtype not in FLOAT_DTYPES:
            raise CheckpointError(
                f"{tensor.file}: {name} holds {tensor.dtype}; weights are read from {', '.join(FLOAT_DTYPES)} only: "
                "use the checkpoint before its quantisation"
            )
        with safe_open(tensor.file, framework="numpy") as file:
            stored = file.get_tensor(name)
        with np.errstate(over="ignore"):  # infinities are found below
            array: npt.NDArray[np.float32] = stored.astype(np.float32)
        wrong = array.size - np.count_nonzero(np.isfinite(array))
        if wrong:
            raise CheckpointError(
                f"{tensor.file}: {name} has {wrong:,} values of {array.size:,} that are not finite numbers in float32; "
                "use a checkpoint from before the training diverged"
            )
        return array


def open_tensors(folder: Path) -> StoredTensors:
    """The tensors of the checkpoint in `folder`: of WEIGHTS_FILE, else of the shards that INDEX_FILE lists.

    Raises CheckpointError where there are none, where a file is damaged, or where the shards contradict their index.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder")
    single, index = folder / WEIGHTS_FILE, folder / INDEX_FILE
    if single.is_file():
        return StoredTensors(single, _headers(single))
    if index.is_file():
        return StoredTensors(index, _shards(index))
    raise CheckpointError(f"{folder}: no {WEIGHTS_FILE}{_hint(folder)}")


def shard_files(index: Path) -> dict[str, list[str]]:
    """Shard -> names of the tensors that an index says are in it; raises CheckpointError where a shard is missing."""
    names = read_json_object(index).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(file, str) for file in names.values()):
        raise CheckpointError(f"{index}: weight_map is not an object that gives each tensor its file")
    shards: dict[str, list[str]] = {}
    for name, file in names.items():
        shards.setdefault(file, []).append(name)
    outside = [file for file in shards if not file or Path(file).name != file]
    if outside:
        raise CheckpointError(f"{index}: names {outside[0]!r}, which is not a file of its own folder")
    missing = [file for file in sorted(shards) if not (index.parent / file).is_file()]
    if missing:
        raise CheckpointError(
            f"{index}: {len(missing)} of {len(shards)} shards are missing: {listed(missing)}; download or copy them too"
        )
    return shards


def check_shard(index: Path, file: str, promised: Iterable[str], found: Iterable[str]) -> None:
    """Raise CheckpointError where a shard holds other tensors than its index says."""
    lacking, extra = sorted(set(promised) - set(found)), sorted(set(found) - set(promised))
    if lacking:
        raise CheckpointError(
            f"{index}: says that {file} holds {listed(lacking)}, which it does not; download the shards and the index "
            "of one version again"
        )
    if extra:
        raise CheckpointError(
            f"{index}: {file} holds {listed(extra)}, which the index gives to another shard or to none; download the "
            "shards and the index of one version again"
        )


def listed(names: list[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _shards(index: Path) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for file, promised in sorted(shard_files(index).items()):
        found = _headers(index.parent / file)
        check_shard(index, file, promised, found)
        tensors |= found
    return tensors


def _headers(path: Path) -> dict[str, StoredTensor]:
    """Name -> what the header of a safetensors file says of a tensor."""
    try:
        with path.open("rb") as content:
            is_pointer = content.read(len(LFS_POINTER)) == LFS_POINTER
        if is_pointer:
            raise CheckpointError(f"{path}: is Git LFS's pointer to the weights, not the weights; run 'git lfs pull'")
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            return {name: StoredTensor(path, s.get_dtype(), tuple(s.get_shape())) for name, s in slices.items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}; download or copy it again") from error


def _hint(folder: Path) -> str:
    """What to do about a folder without weights that can be read."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    if ADAPTER_SETTINGS in names:
        return (
            f"; it holds an adapter of peft ({ADAPTER_SETTINGS}), not an encoder: load it with peft onto its base, "
            "merge_and_unload, save_pretrained, and use that folder"
        )
    unsafe = [name for name in names if name.endswith(UNSAFE_SUFFIXES)]
    if PYTORCH_FILE in names or PYTORCH_INDEX_FILE in names:
        remedy = f"convert it with 'stackbert pretrain convert {folder} --out OUT' (pip install 'stackbert[convert]')"
    elif any(name.endswith(PYTORCH_SUFFIXES) for name in unsafe):
        remedy = (
            f"use a version of the checkpoint that has {WEIGHTS_FILE}; or save the state_dict in it, and nothing else, "
            f"as {PYTORCH_FILE} with torch.save, and run 'stackbert pretrain convert'"
        )
    else:
        remedy = f"use a version of the checkpoint that has {WEIGHTS_FILE}"
    if unsafe:
        return f"; {listed(unsafe)} can run code when loaded, so it is refused: {remedy}"
    others = [name for name in names if name.endswith(".safetensors")]
    if others:
        return f" and no {INDEX_FILE}, but {listed(others)}: name a whole file {WEIGHTS_FILE}; shards need their index"
    inner = sorted(path.parent.name for path in folder.glob(f"*/{WEIGHTS_FILE}"))
    if inner:
        return f"; {listed(inner)} {'have' if len(inner) > 1 else 'has'} one: name that folder"
    runtimes = [f"{path.relative_to(folder)}" for path in sorted(folder.rglob("*")) if path.name.endswith(RUNTIMES)]
    if runtimes:
        return f", but {listed(runtimes, 3)}, which cannot be trained: use the checkpoint that it was made from"
    if (folder / "config.json").is_file():
        return (
            f"; a checkpoint that is published as {PYTORCH_FILE} only is made readable by 'stackbert pretrain convert'"
        )
    return "; a checkpoint is a folder with config.json and model.safetensors, 'minilm' or a hub id"
