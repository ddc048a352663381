"""Whose each tensor of a checkpoint is: the encoder's, its MLM head's, another task's, or not understood."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrain.model.architecture import Architecture
from pretrain.model.stored_tensors import CheckpointError, StoredTensor, listed
from stackbert.core.families.family import BODY_TABLES, Family
from stackbert.core.families.table import FAMILIES
from stackbert.core.printing import printable

WORD_TABLES = sorted({family.tables["embeddings/word"] for family in FAMILIES.values()})
_TABLES = {family.tables[name] for family in FAMILIES.values() for name in BODY_TABLES if name in family.tables}
ANCHOR = re.compile(rf"((?:.+\.)?)(?:{'|'.join(map(re.escape, sorted(_TABLES)))})\.weight")
"""Tables that an encoder is recognised by; what stands before them is the encoder's place in its file."""
WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Put between the parts of a name by torch.compile and by FSDP."""
OLD_NORM_NAMES = re.compile(r"(LayerNorm|layer_norm)\.(gamma|beta)$")
CURRENT_NORM_NAMES = {"gamma": "weight", "beta": "bias"}
LEFTOVERS = re.compile(r"(?:^|\.)(?:position_ids|token_type_ids|num_batches_tracked|adam_[mv]|exp_avg(?:_sq)?)$")
"""Numbers that follow from the configuration, and the state of an optimizer."""
HEAD_WORDS = re.compile(
    r"pool|classif|(?:^|_)heads?(?:_|\d|$)|proj|linear|dense|logit|score|cls|predict|seq_relationship|qa_|crf|vocab_"
    r"|regress|label|span|reward|rank|mlp|loss|temperature|^outputs?$|^fc\d*$",
    re.IGNORECASE,
)
"""In the first part of a name beside the encoder's parts: heads of tasks, and projections of its output."""
CHANGES_ENCODER = re.compile(
    r"(?:encoder|transformer|decoder)\.layers?\.\d+\.|lora_|adapter|prompt|prefix_enc|relative|rotary|alibi",
    re.IGNORECASE,
)
"""Outside the encoder's place: parts that change what an encoder reads or computes all the same."""
MOST_MODULES = 6  # named in a note


@dataclass
class SortedNames:
    """The tensors of a checkpoint by what they are to the model; all values are names in the file."""

    root: str
    """What stands before the encoder's parts in the file, such as 'bert.', '' or 'module.bert.'."""
    places: dict[str, str] = field(default_factory=dict)
    """Name in the full model -> name in the file, of all tensors of the encoder and the MLM head."""
    passed_over: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Neither of the model nor known to be another task's."""


def sort_names(names: Iterable[str], architecture: Architecture, where: Path) -> SortedNames:
    """Sort the tensor names of the file `where`.

    What stands beside the encoder in a larger model is passed over; what is in the encoder's own place is the
    encoder's, but for heads. Raises CheckpointError where there is no encoder or more than one.
    """
    plain = {name: plain_name(name) for name in names}
    root = find_root(plain.values(), where)
    family, last = architecture.family, root.rstrip(".").rpartition(".")[2]
    if last in FAMILIES.keys() - {family.prefix, family.name}:
        raise CheckpointError(
            f"{where}: the encoder's names begin with {root!r}, but config.json's model_type is "
            f"{family.name!r}; correct model_type"
        )
    result = SortedNames(root)
    for stored, name in plain.items():
        place = _place(name, root, family)
        if LEFTOVERS.search(name):
            result.passed_over.append(stored)
        elif place is None:
            (result.passed_over if _is_beside(name, root) else result.strange).append(stored)
        elif place in result.places:
            raise CheckpointError(f"{where}: {result.places[place]} and {stored} are one tensor, {place}; remove one")
        else:
            result.places[place] = stored
    _pass_over_classifier(result, family)
    return result


def _pass_over_classifier(found: SortedNames, family: Family) -> None:
    """Where no decoder makes it an MLM head, what has names of one is a classifier's."""
    if family.classifier.norm and not {family.mlm_bias, f"{family.decoder}.weight"} & found.places.keys():
        for place in [place for place in found.places if place.startswith(family.head_starts)]:
            found.passed_over.append(found.places.pop(place))


def plain_name(name: str) -> str:
    """A tensor's name without what torch.compile and FSDP add, and with the current names of LayerNorm's weights.

    >>> plain_name("_orig_mod.bert.embeddings.LayerNorm.gamma")
    'bert.embeddings.LayerNorm.weight'
    """
    return OLD_NORM_NAMES.sub(lambda match: f"{match[1]}.{CURRENT_NORM_NAMES[match[2]]}", WRAPPERS.sub("", name))


def find_root(names: Iterable[str], where: Path) -> str:
    """What stands before `embeddings.word_embeddings.weight`; raises CheckpointError unless it is one place.

    >>> find_root(["module.bert.embeddings.word_embeddings.weight", "module.cls.predictions.bias"], Path("x"))
    'module.bert.'
    """
    names = list(names)
    roots = sorted({match[1] for match in map(ANCHOR.fullmatch, names) if match})
    if len(roots) > 1:
        raise CheckpointError(
            f"{where}: holds {len(roots)} encoders, under {listed([repr(root) for root in roots])}; save "
            "the one you want alone"
        )
    if not roots:
        examples = f"its names are such as {listed(sorted(names), 3)}" if names else "it is empty"
        raise CheckpointError(
            f"{where}: holds no encoder of the families {', '.join(FAMILIES)}: no name ends with "
            f"{' or '.join(repr(f'{table}.weight') for table in WORD_TABLES)}; {examples}"
        )
    return roots[0]


def names_notes(found: SortedNames, tensors: Mapping[str, StoredTensor], prefix: str) -> list[str]:
    """What a user should know: a prefix that was removed, and what was passed over."""
    notes = []
    wrapper = found.root.removesuffix(f"{prefix}.")
    if any(WRAPPERS.search(name) for name in tensors):
        notes.append("parts of tensor names that torch.compile or FSDP added, such as '_orig_mod.', were removed")
    if wrapper and all(plain_name(name).startswith(wrapper) for name in tensors):
        notes.append(f"all tensor names begin with {printable(wrapper)!r}, which was removed")
    elif wrapper:
        notes.append(f"the encoder is what stands under {printable(found.root)!r}")
    modules: dict[str, int] = {}
    for name in sorted(found.passed_over):
        module, _, leaf = plain_name(name).removeprefix(wrapper).rpartition(".")
        module = module if leaf in ("weight", "bias") and module else f"{module}.{leaf}".lstrip(".")
        modules[module] = modules.get(module, 0) + tensors[name].size
    if modules:
        counted = [f"{printable(module)} ({count:,} weights)" for module, count in modules.items()]
        notes.append(f"passed over, as not of the encoder or its MLM head: {listed(counted, MOST_MODULES)}")
    return notes


def family_of(config: Mapping[str, Any], root: str) -> str | None:
    """The family of a checkpoint whose config.json has no model_type, as older ones: from its class or tensor names."""
    classes = config.get("architectures")
    for name in classes if isinstance(classes, list) else ():
        for family in FAMILIES.values():
            if re.fullmatch(rf"{family.class_prefix}(?:Model|For\w+)", str(name)):
                return family.name
    last = root.rstrip(".").rpartition(".")[2]
    return last if last in FAMILIES else None


def _outer(root: str) -> list[str]:
    """The places around an encoder, from its own to the whole file.

    >>> _outer("module.bert.")
    ['module.bert.', 'module.', '']
    """
    parts = root.split(".")
    return ["".join(f"{part}." for part in parts[:count]) for count in range(len(parts) - 1, -1, -1)]


def _place(name: str, root: str, family: Family) -> str | None:
    """A tensor's name in the full model; None where it is neither the encoder's nor the MLM head's."""
    if name.startswith(root) and name[len(root) :].partition(".")[0] in family.body:
        return f"{family.prefix}.{name[len(root) :]}"
    inner = (name[len(outer) :] for outer in _outer(root) if name.startswith(outer))
    heads = (place for place in inner if place.startswith(family.head_starts))
    return next(heads, None)  # it may stand beside the encoder or beside what holds it


def _is_beside(name: str, root: str) -> bool:
    """Whether a tensor outside the encoder's parts belongs to what reads the encoder's output."""
    outer = next(outer for outer in _outer(root) if name.startswith(outer))
    module = name[len(outer) :].partition(".")[0]
    is_head = bool(HEAD_WORDS.search(module)) and not re.search("embed|input|cls_?token", module)
    if outer == root:  # in the encoder's own namespace, or a bare encoder's file: only what is known to be a head
        return is_head and not CHANGES_ENCODER.search(name)
    return is_head or not CHANGES_ENCODER.search(name)
