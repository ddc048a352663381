"""An encoder's weights from the tensors of a checkpoint, which must be all of them and no others."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain.model.architecture import (
    Architecture,
    describe_field,
    field_value,
    hugging_face_names,
    weight_shapes,
)
from pretrain.model.stored_tensors import CheckpointError, StoredTensors, listed
from pretrain.model.tensor_names import SortedNames, names_notes, sort_names
from stackbert.core.families.family import Family

Weights = dict[str, npt.NDArray[np.float32]]
"""Arrays by name."""
SIZES_OF = {
    "embeddings/word": ("vocab_size", "embedding_size"),
    "embeddings/position": ("max_position_embeddings", "embedding_size"),
    "embeddings/type": ("type_vocab_size", "embedding_size"),
    "layer_0/feed_forward/outer/kernel": ("hidden_size", "intermediate_size"),
}
"""Weight -> the field of `config.json` that each dimension of its tensor has to equal; see `_sizes_of`."""
ADAPTERS = re.compile(r"lora_|adapter|base_layer", re.IGNORECASE)


def read_weights(
    stored: StoredTensors, architecture: Architecture, config: dict[str, Any]
) -> tuple[Weights, bool, list[str]]:
    """The weights by the names of `weight_shapes`, whether an MLM head is among them, and what was passed over.

    Raises CheckpointError where the tensors are not those of `config`, and where copies of a tensor differ.
    """
    found = sort_names(stored.by_name, architecture, stored.path)
    _refuse_other_layers(stored, found, architecture, config)
    places = dict(found.places)
    family = architecture.family
    decoder, names = f"{family.decoder}.weight", hugging_face_names(architecture)
    head = {theirs for ours, group in names.items() if ours.startswith("mlm/") for theirs in group}
    for copy, original in family.copies.items():
        if copy in places:
            places.setdefault(original, places[copy])
    has_head = bool(head & places.keys())
    expected = {theirs for group in names.values() for theirs in group}
    missing = expected - places.keys() - (set() if has_head else head)
    if has_head and config.get("tie_word_embeddings") is False and decoder not in places:
        missing.add(decoder)
    unexpected = {place for place in places if place not in {*expected, *family.copies}}
    _refuse_other_tensors(stored, missing, [*found.strange, *(found.places[place] for place in unexpected)])
    _refuse_other_shapes(stored, places, architecture, config)
    _compare_copies(stored, places, family.copies)
    weights = {
        ours: _joined([stored.read(places[name]) for name in theirs], ours)
        for ours, theirs in names.items()
        if has_head or not ours.startswith("mlm/")
    }
    if not has_head:
        weights |= new_head(architecture, weights.get("embeddings/projection/kernel"))
    return weights, has_head, names_notes(found, stored.by_name, family.prefix)


def new_head(architecture: Architecture, projection_EH: npt.NDArray[np.float32] | None) -> Weights:
    """An MLM head for a checkpoint without one: identity kernel, LayerNorm of scale 1, biases 0.

    Logits are then the products of the hidden state with each word vector, which is better than random ones. Where word
    vectors are projected before the first layer, the kernel is the projection's transpose, to the same effect.
    """
    kernel_HE = np.eye(architecture.hidden_dim) if projection_EH is None else projection_EH.T
    made = {
        "mlm/dense/kernel": np.ascontiguousarray(kernel_HE, np.float32),
        "mlm/norm/gamma": np.ones(architecture.embedding_dim, np.float32),
    }
    shapes = {name: shape for name, shape in weight_shapes(architecture).items() if name.startswith("mlm/")}
    return {name: made.get(name, np.zeros(shape, np.float32)) for name, shape in shapes.items()}


def _refuse_other_layers(
    stored: StoredTensors, found: SortedNames, architecture: Architecture, config: dict[str, Any]
) -> None:
    """Raise CheckpointError where the file has more or fewer layers than `config.json` says."""
    layers = re.escape(f"{architecture.family.prefix}.{architecture.family.layers}.")
    layer = re.compile(rf"{layers}(\d{{1,6}})\.")
    numbers = sorted({int(match[1]) for place in found.places if (match := layer.match(place))})
    if (len(numbers), numbers[-1:]) == (architecture.num_layers, [architecture.num_layers - 1]):
        return
    if numbers:
        said = f"its layers are {listed([str(number) for number in numbers], 30)}"
    else:
        others = [name for name in stored.by_name if "embeddings." not in name]
        said = f"it has no layers of that family beside its embeddings, but {_patterns(others) or 'nothing'}"
    raise CheckpointError(
        f"{stored.path}: does not match its config.json: {describe_field(config, 'num_hidden_layers')}, but {said}; "
        f"use the config.json and the weights of one {architecture.family.name} checkpoint"
    )


def _refuse_other_tensors(stored: StoredTensors, missing: set[str], strange: list[str]) -> None:
    """Raise CheckpointError where the encoder of the file lacks tensors, or has other ones."""
    if not missing and not strange:
        return
    if any(ADAPTERS.search(name) for name in strange):
        cure = "merge the adapters into the weights first (merge_and_unload of peft)"
    elif not missing:
        cure = (
            "what belongs to an encoder, or cannot be told from it, is not passed over; remove from the file what is "
            "another task's"
        )
    else:
        cure = "use the config.json and the weights of one checkpoint"
    kinds = (("missing", missing), ("unexpected", strange))
    faults = "; ".join(f"{kind} {_patterns(names)}" for kind, names in kinds if names)
    raise CheckpointError(f"{stored.path}: does not match its config.json: {faults}; {cure}")


def _patterns(names: Iterable[str], most: int = 5) -> str:
    """The first few of the names, those that differ only in numbers as one.

    >>> _patterns(["layer.0.bias", "layer.1.bias", "scale"])
    'layer.N.bias (2 tensors), scale'
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(re.sub(r"(?<=\.)\d+(?=\.|$)", "N", name), []).append(name)
    shown = [group[0] if len(group) == 1 else f"{pattern} ({len(group)} tensors)" for pattern, group in groups.items()]
    return listed(shown, most)


def _refuse_other_shapes(
    stored: StoredTensors, places: dict[str, str], architecture: Architecture, config: dict[str, Any]
) -> None:
    """Raise CheckpointError where tensors have other sizes than those of `config.json`."""
    names = hugging_face_names(architecture)
    fields = {names[ours][0]: fields for ours, fields in _sizes_of(architecture.family).items() if ours in names}
    other = {
        name: (found, shape)
        for name, shape in _stored_shapes(architecture).items()
        if name in places and (found := stored.by_name[places[name]].shape) != shape
    }
    if not other:
        return
    contradicted = sorted(
        {
            field
            for name in fields.keys() & other.keys()
            if len(other[name][0]) == 2
            for field, length in zip(fields[name], other[name][0], strict=True)
            if field_value(config, field) != length
        }
    )
    faults = [f"{places[name]} has shape {found}, not {shape}" for name, (found, shape) in other.items()]
    says = f"; config.json has {', '.join(describe_field(config, field) for field in contradicted)}" * bool(
        contradicted
    )
    raise CheckpointError(
        f"{stored.path}: does not match its config.json: {listed(faults, 3)}{says}; correct config.json, or "
        "use the weights that belong to it"
    )


def _sizes_of(family: Family) -> dict[str, tuple[str, ...]]:
    """SIZES_OF, with hidden_size where the family has no embedding_size."""
    width = "embedding_size" if "embedding_size" in family.defaults else "hidden_size"
    return {ours: tuple(width if f == "embedding_size" else f for f in fields) for ours, fields in SIZES_OF.items()}


def _compare_copies(stored: StoredTensors, places: dict[str, str], originals: dict[str, str]) -> None:
    """Raise CheckpointError where a tensor that has to be a copy of another differs from it."""
    for copy, original in originals.items():
        if copy not in places or places[copy] == places[original]:
            continue
        if np.array_equal(stored.read(places[copy]), stored.read(places[original])):
            continue
        kind = "decoder" if copy.endswith(".weight") else "bias of the decoder"
        raise CheckpointError(
            f"{stored.path}: {places[copy]} differs from {places[original]}, so its MLM head has a {kind} of its own; "
            "Stackbert trains the two as one. To start from the encoder alone, with a new MLM head, save it without "
            "its head (in transformers: AutoModel.from_pretrained(...).save_pretrained(...))"
        )


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
