"""Encoder architectures: sizes, weight shapes, and the names of tensors in Hugging Face checkpoints."""

from dataclasses import dataclass
from typing import Any

from pretrain.model.rotary_config import RotaryLayer, read_rotary_layers
from stackbert.core.checkpoints import SIZES
from stackbert.core.errors import StackbertError, require
from stackbert.core.families.family import Family
from stackbert.core.families.table import FAMILIES

SIZE_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "embedding_size",
    "relative_attention_num_buckets",
)
VARIANTS: dict[str, tuple[Any, ...]] = {  # values that the encoder implements, or that change nothing that it reads
    "hidden_act": ("gelu", "gelu_python"),  # two computations of one function
    "position_embedding_type": ("absolute",),
    "sinusoidal_pos_embds": (False, True),  # how the table was initialised
    "tie_word_embeddings": (True, False),  # what the tensors say decides
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "pruned_heads": ({},),
    "quantization_config": ({},),
}


@dataclass(frozen=True)
class Architecture:
    """What defines an encoder's computation, the same for all families."""

    family: Family
    vocab_size: int
    hidden_dim: int
    num_layers: int
    num_heads: int
    intermediate_dim: int
    max_positions: int
    """Rows of the position table; without one, the longest text."""
    first_position: int
    """Position of a text's first token: 0, or where the family counts from padding, 2, as that takes 0 and 1."""
    num_types: int
    """Rows of the token-type table; 0 where there is none."""
    norm_epsilon: float
    embedding_dim: int
    """Width of the tables before the first layer; where it is not `hidden_dim`, a projection follows them."""
    num_buckets: int = 0
    """Rows of the table of distances between tokens; 0 where there is none."""
    rotary_layers: tuple[RotaryLayer, ...] = ()
    """All layers, where they are pre-norm; none where they are post-norm."""

    @property
    def max_length(self) -> int:
        """Most tokens of a text."""
        return self.max_positions - self.first_position

    @property
    def inner_dim(self) -> int:
        """Width of the feed-forward part's first product: with the gates where the layers are pre-norm."""
        return (2 if self.rotary_layers else 1) * self.intermediate_dim


def random_config(size: str, vocab_size: int) -> dict[str, Any]:
    """The `config.json` of a new BERT of a named size."""
    if size not in SIZES:
        raise StackbertError(f"base 'random-{size}': the sizes are {', '.join(SIZES)}")
    layers, width = SIZES[size]
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": vocab_size,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "intermediate_size": 4 * width,
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "pad_token_id": 0,
    }


def read_architecture(config: dict[str, Any], where: str) -> Architecture:
    """The architecture that a `config.json` describes; errors name it as `where`.

    What it lacks, or gives as null, has the family's default. Raises StackbertError for a family or variant that the
    encoder does not implement, and for values that are not possible.
    """
    name = config.get("model_type")
    family = FAMILIES.get(str(name))
    if family is None:
        raise StackbertError(f"{where}: model_type is {name!r}; supported are {', '.join(FAMILIES)}")
    _refuse_variants(config, family, where)
    sizes = {name: _size(config, name, where) for name in SIZE_FIELDS if name in family.defaults}
    hidden_dim, num_heads = sizes["hidden_size"], sizes["num_attention_heads"]
    if hidden_dim % num_heads:
        fields = (describe_field(config, name) for name in ("hidden_size", "num_attention_heads"))
        raise StackbertError(f"{where}: {' is not a multiple of '.join(fields)}")
    padding = _padding(config, sizes["vocab_size"], where)
    architecture = Architecture(
        family=family,
        vocab_size=sizes["vocab_size"],
        hidden_dim=hidden_dim,
        num_layers=sizes["num_hidden_layers"],
        num_heads=num_heads,
        intermediate_dim=sizes["intermediate_size"],
        max_positions=sizes["max_position_embeddings"],
        first_position=_first_position(family, padding),
        num_types=sizes.get("type_vocab_size", 0),
        norm_epsilon=_epsilon(config, where),
        embedding_dim=sizes.get("embedding_size", hidden_dim),
        num_buckets=sizes.get("relative_attention_num_buckets", 0),
        rotary_layers=read_rotary_layers(config, sizes["num_hidden_layers"], where) if family.is_pre_norm else (),
    )
    require(
        architecture.max_length > 0,
        f"{where}: max_position_embeddings {architecture.max_positions} leaves no position for text, as padding "
        f"reserves the first {architecture.first_position}",
    )
    return architecture


def _refuse_variants(config: dict[str, Any], family: Family, where: str) -> None:
    """Raise StackbertError for a value that the encoder does not implement."""
    for name, supported in (VARIANTS | dict(family.variants)).items():
        value = field_value(config, name)
        if value is not None and value not in supported:
            raise StackbertError(
                f"{where}: {own_name(config, name)} is {value!r}; the encoder supports {supported[0]!r} only"
            )


def own_name(config: dict[str, Any], name: str) -> str:
    """The family's name of a field of BERT's `config.json`."""
    return FAMILIES[config["model_type"]].own_fields.get(name, name)


def field_value(config: dict[str, Any], name: str) -> Any:
    """The value of a field, by BERT's name for it; the family's default where `config.json` has none or null."""
    given = [value for each in _names(config, name) if (value := config.get(each)) is not None]
    return given[0] if given else FAMILIES[config["model_type"]].defaults.get(name)


def describe_field(config: dict[str, Any], name: str) -> str:
    """A field and its value, for an error; says where it is the family's default.

    >>> describe_field({"model_type": "bert", "vocab_size": 100}, "vocab_size")
    'vocab_size 100'
    >>> describe_field({"model_type": "distilbert"}, "hidden_size")
    'dim 768 (the default, as config.json gives none)'
    """
    own = own_name(config, name)
    is_given = any(config.get(each) is not None for each in _names(config, name))
    return f"{own} {field_value(config, name)}" + ("" if is_given else " (the default, as config.json gives none)")


def _names(config: dict[str, Any], name: str) -> tuple[str, ...]:
    """The names under which a field may stand, the family's own first."""
    own = own_name(config, name)
    return (own, name) if FAMILIES[config["model_type"]].takes_bert_names else (own,)


def _size(config: dict[str, Any], name: str, where: str) -> int:
    value, own = field_value(config, name), own_name(config, name)
    if own != name and config.get(name) not in (None, value):
        raise StackbertError(f"{where}: {own} {value!r} and {name} {config[name]!r} contradict each other; remove one")
    if type(value) is not int or value < 1:
        raise StackbertError(f"{where}: {own} is {value!r}; it must be a whole number from 1 on")
    return value


def _padding(config: dict[str, Any], vocab_size: int, where: str) -> int:
    value = field_value(config, "pad_token_id")
    if type(value) is not int or not 0 <= value < vocab_size:
        raise StackbertError(f"{where}: pad_token_id is {value!r}; it must be an id below vocab_size {vocab_size}")
    return value


def _first_position(family: Family, padding: int) -> int:
    if family.uncounted_id is not None:
        return family.uncounted_id + 1
    return padding + 1 if family.counts_from_padding else 0


def _epsilon(config: dict[str, Any], where: str) -> float:
    fixed = FAMILIES[config["model_type"]].norm_epsilon
    if fixed is not None:
        return fixed
    value = field_value(config, "layer_norm_eps")
    if type(value) not in (int, float) or not 0 < value < 1:
        raise StackbertError(
            f"{where}: layer_norm_eps is {value!r}; it must be a number between 0 and 1, such as 1e-12"
        )
    return float(value)


def weight_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in a fixed order. Kernels are (in, out); query, key and value share one.

    Pre-norm layers have no biases, no norm before the first attention, and gates beside the inner feed-forward values.
    """
    a, shapes = architecture, dict[str, tuple[int, ...]]()
    has_biases = not a.rotary_layers

    def dense(name: str, inner: int, outer: int) -> None:
        shapes[f"{name}/kernel"] = (inner, outer)
        if has_biases:
            shapes[f"{name}/bias"] = (outer,)

    def norm(name: str, width: int) -> None:
        shapes[f"{name}/gamma"] = (width,)
        if has_biases:
            shapes[f"{name}/beta"] = (width,)

    tables = {"word": a.vocab_size, "position": 0 if a.rotary_layers else a.max_positions, "type": a.num_types}
    shapes |= {f"embeddings/{name}": (rows, a.embedding_dim) for name, rows in tables.items() if rows}
    if a.num_buckets:
        shapes["embeddings/distance"] = (a.num_buckets, a.num_heads)
    norm("embeddings/norm", a.embedding_dim)
    if a.embedding_dim != a.hidden_dim:
        dense("embeddings/projection", a.embedding_dim, a.hidden_dim)
    for layer in range(a.num_layers):
        dense(f"layer_{layer}/attention/qkv", a.hidden_dim, 3 * a.hidden_dim)
        dense(f"layer_{layer}/attention/output", a.hidden_dim, a.hidden_dim)
        if layer or not a.rotary_layers:
            norm(f"layer_{layer}/attention/norm", a.hidden_dim)
        dense(f"layer_{layer}/feed_forward/inner", a.hidden_dim, a.inner_dim)
        dense(f"layer_{layer}/feed_forward/outer", a.intermediate_dim, a.hidden_dim)
        norm(f"layer_{layer}/feed_forward/norm", a.hidden_dim)
    if a.rotary_layers:
        norm("final/norm", a.hidden_dim)
    dense("mlm/dense", a.hidden_dim, a.embedding_dim)
    norm("mlm/norm", a.embedding_dim)
    shapes["mlm/bias"] = (a.vocab_size,)
    return shapes


def hugging_face_names(architecture: Architecture) -> dict[str, tuple[str, ...]]:
    """Name -> its Hugging Face tensors: three for a qkv weight, one for any other."""
    modules = dict(architecture.family.modules_of(architecture.num_layers))
    return {ours: architecture.family.tensor_names(ours, modules) for ours in weight_shapes(architecture)}
