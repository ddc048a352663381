"""Rotary positions and local attention of pre-norm layers, as `config.json` describes them."""

from dataclasses import dataclass
from typing import Any

from stackbert.core.errors import StackbertError

LOCAL, GLOBAL = "sliding_attention", "full_attention"
"""Types of layers in `layer_types` and `rope_parameters`."""
BASES = {GLOBAL: ("global_rope_theta", 160_000.0), LOCAL: ("local_rope_theta", 10_000.0)}
"""Type -> its field before transformers 5, and the default of the base."""


@dataclass(frozen=True)
class RotaryLayer:
    """Positions and attention of one layer."""

    base: float
    """Of the rotary positions' wavelengths (Su et al. 2021, arXiv 2104.09864, section 3.2.2)."""
    window: int
    """Tokens to each side that a token attends to; 0: all."""


def read_rotary_layers(config: dict[str, Any], num_layers: int, where: str) -> tuple[RotaryLayer, ...]:
    """The layers that a `config.json` of transformers 5, or of an earlier one, describes; errors name it as `where`.

    Nulls stand for defaults.
    """
    config = {name: value for name, value in config.items() if value is not None}
    bases = {kind: _base(config, kind, where) for kind in BASES}
    window = _count(config, "local_attention", 128, where) // 2
    if not window:
        raise StackbertError(f"{where}: local_attention is 1; it must be 2 or more, half of it to each side")
    return tuple(
        RotaryLayer(bases[kind], window if kind == LOCAL else 0) for kind in _layer_types(config, num_layers, where)
    )


def _layer_types(config: dict[str, Any], num_layers: int, where: str) -> list[str]:
    types = config.get("layer_types")
    if types is None:
        every = _count(config, "global_attn_every_n_layers", 3, where)
        return [LOCAL if layer % every else GLOBAL for layer in range(num_layers)]
    if not isinstance(types, list) or any(each not in BASES for each in types):
        raise StackbertError(f"{where}: layer_types is {types!r}; it must be a list of {GLOBAL!r} and {LOCAL!r}")
    if len(types) != num_layers:
        raise StackbertError(f"{where}: layer_types has {len(types)} entries, but num_hidden_layers is {num_layers}")
    return types


def _base(config: dict[str, Any], kind: str, where: str) -> float:
    old_name, default = BASES[kind]
    parameters = config.get("rope_parameters", {})
    given = parameters.get(kind) if isinstance(parameters, dict) else parameters
    given = {} if given is None else given
    if not isinstance(given, dict) or not given.keys() <= {"rope_type", "rope_theta"}:
        raise StackbertError(
            f"{where}: rope_parameters of {kind} is {given!r}; the encoder supports an object of rope_type and "
            "rope_theta only"
        )
    if given.get("rope_type", "default") != "default":
        raise StackbertError(f"{where}: rope_type is {given['rope_type']!r}; the encoder supports 'default' only")
    name = "rope_theta" if "rope_theta" in given else old_name
    value = given.get("rope_theta", config.get(old_name, default))
    if type(value) not in (int, float) or not 1 < value < float("inf"):
        raise StackbertError(f"{where}: {name} is {value!r}; it must be a number above 1, such as {default:g}")
    return float(value)


def _count(config: dict[str, Any], name: str, default: int, where: str) -> int:
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise StackbertError(f"{where}: {name} is {value!r}; it must be a whole number from 1 on")
    return value
