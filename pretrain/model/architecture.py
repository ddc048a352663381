"""Encoder architectures: sizes, weight shapes, and the names of tensors in Hugging Face checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from stackbert.core.checkpoints import SIZES
from stackbert.core.errors import StackbertError

Family = Literal["bert", "distilbert", "roberta", "camembert"]
PREFIXES = {"bert": "bert", "distilbert": "distilbert", "roberta": "roberta", "camembert": "roberta"}
"""Prefix of a family's encoder tensors; CamemBERT is a RoBERTa."""


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
    """Rows of the position table."""
    first_position: int
    """Position of a text's first token: 0, or 2 for RoBERTa and CamemBERT, whose padding takes 0 and 1."""
    num_types: int
    """Rows of the token-type table; 0 where there is none."""
    norm_epsilon: float

    @property
    def prefix(self) -> str:
        """Prefix of the encoder's Hugging Face names."""
        return PREFIXES[self.family]

    @property
    def max_length(self) -> int:
        """Most tokens of a text."""
        return self.max_positions - self.first_position


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

    Raises StackbertError for a family or variant that the encoder does not implement.
    """
    family = config.get("model_type")
    if str(family) not in PREFIXES:
        raise StackbertError(f"{where}: model_type is {family!r}; supported are {', '.join(PREFIXES)}")
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
    if family == "distilbert":
        names = ("dim", "n_layers", "n_heads", "hidden_dim", "activation")
    needed = (*names[:4], "vocab_size", "max_position_embeddings")
    missing = [name for name in needed if name not in config]
    if missing:
        raise StackbertError(f"{where}: config.json lacks {', '.join(missing)}")
    variants = {
        names[4]: ("gelu",),
        "position_embedding_type": ("absolute",),
        "sinusoidal_pos_embds": (False, True),  # how the table was initialised
        "tie_word_embeddings": (True,),
        "is_decoder": (False,),
    }
    for name, supported in variants.items():
        if name in config and config[name] not in supported:
            raise StackbertError(f"{where}: {name} is {config[name]!r}; the encoder supports {supported[0]!r} only")
    hidden_dim, num_layers, num_heads, intermediate_dim = (config[name] for name in names[:4])
    if hidden_dim % num_heads:
        raise StackbertError(f"{where}: {names[0]} {hidden_dim} is not a multiple of {names[2]} {num_heads}")
    return Architecture(
        family=cast(Family, family),
        vocab_size=config["vocab_size"],
        hidden_dim=hidden_dim,
        num_layers=num_layers,
        num_heads=num_heads,
        intermediate_dim=intermediate_dim,
        max_positions=config["max_position_embeddings"],
        first_position=config.get("pad_token_id", 1) + 1 if PREFIXES[str(family)] == "roberta" else 0,
        num_types=0 if family == "distilbert" else config.get("type_vocab_size", 2),
        norm_epsilon=1e-12 if family == "distilbert" else config.get("layer_norm_eps", 1e-12),
    )


def weight_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight, in a fixed order. Kernels are (in, out); query, key and value share one."""
    a = architecture
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings/word": (a.vocab_size, a.hidden_dim),
        "embeddings/position": (a.max_positions, a.hidden_dim),
    }
    if a.num_types:
        shapes["embeddings/type"] = (a.num_types, a.hidden_dim)
    shapes |= _norm_shapes("embeddings/norm", a.hidden_dim)
    for layer in range(a.num_layers):
        shapes |= _dense_shapes(f"layer_{layer}/attention/qkv", a.hidden_dim, 3 * a.hidden_dim)
        shapes |= _dense_shapes(f"layer_{layer}/attention/output", a.hidden_dim, a.hidden_dim)
        shapes |= _norm_shapes(f"layer_{layer}/attention/norm", a.hidden_dim)
        shapes |= _dense_shapes(f"layer_{layer}/feed_forward/inner", a.hidden_dim, a.intermediate_dim)
        shapes |= _dense_shapes(f"layer_{layer}/feed_forward/outer", a.intermediate_dim, a.hidden_dim)
        shapes |= _norm_shapes(f"layer_{layer}/feed_forward/norm", a.hidden_dim)
    shapes |= _dense_shapes("mlm/dense", a.hidden_dim, a.hidden_dim)
    shapes |= _norm_shapes("mlm/norm", a.hidden_dim)
    shapes["mlm/bias"] = (a.vocab_size,)
    return shapes


def hugging_face_names(architecture: Architecture) -> dict[str, tuple[str, ...]]:
    """Name -> its Hugging Face tensors: three for a qkv weight, one for any other."""
    if architecture.family == "distilbert":
        modules = dict(_distilbert_modules(architecture.num_layers))
        tables = ("distilbert.embeddings", "vocab_projector.bias")
    else:
        prefix = architecture.prefix
        head = "cls.predictions" if prefix == "bert" else "lm_head"
        modules = dict(_bert_modules(prefix, architecture.num_layers)) | _bert_head_modules(head)
        tables = (f"{prefix}.embeddings", f"{head}.bias")
    embeddings, mlm_bias = tables
    names: dict[str, tuple[str, ...]] = {}
    for ours in weight_shapes(architecture):
        module, _, leaf = ours.rpartition("/")
        if ours == "mlm/bias":
            names[ours] = (mlm_bias,)
        elif module == "embeddings":
            table = {"word": "word_embeddings", "position": "position_embeddings", "type": "token_type_embeddings"}[
                leaf
            ]
            names[ours] = (f"{embeddings}.{table}.weight",)
        else:
            suffix = "bias" if leaf in ("bias", "beta") else "weight"
            names[ours] = tuple(f"{theirs}.{suffix}" for theirs in modules[module])
    return names


def _dense_shapes(name: str, inner: int, outer: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/kernel": (inner, outer), f"{name}/bias": (outer,)}


def _norm_shapes(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/gamma": (width,), f"{name}/beta": (width,)}


def _bert_modules(prefix: str, num_layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "embeddings/norm", (f"{prefix}.embeddings.LayerNorm",)
    for layer in range(num_layers):
        ours, theirs = f"layer_{layer}", f"{prefix}.encoder.layer.{layer}"
        yield f"{ours}/attention/qkv", tuple(f"{theirs}.attention.self.{name}" for name in ("query", "key", "value"))
        yield f"{ours}/attention/output", (f"{theirs}.attention.output.dense",)
        yield f"{ours}/attention/norm", (f"{theirs}.attention.output.LayerNorm",)
        yield f"{ours}/feed_forward/inner", (f"{theirs}.intermediate.dense",)
        yield f"{ours}/feed_forward/outer", (f"{theirs}.output.dense",)
        yield f"{ours}/feed_forward/norm", (f"{theirs}.output.LayerNorm",)


def _bert_head_modules(head: str) -> dict[str, tuple[str, ...]]:
    if head == "lm_head":
        return {"mlm/dense": (f"{head}.dense",), "mlm/norm": (f"{head}.layer_norm",)}
    return {"mlm/dense": (f"{head}.transform.dense",), "mlm/norm": (f"{head}.transform.LayerNorm",)}


def _distilbert_modules(num_layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "embeddings/norm", ("distilbert.embeddings.LayerNorm",)
    for layer in range(num_layers):
        ours, theirs = f"layer_{layer}", f"distilbert.transformer.layer.{layer}"
        yield f"{ours}/attention/qkv", tuple(f"{theirs}.attention.{name}" for name in ("q_lin", "k_lin", "v_lin"))
        yield f"{ours}/attention/output", (f"{theirs}.attention.out_lin",)
        yield f"{ours}/attention/norm", (f"{theirs}.sa_layer_norm",)
        yield f"{ours}/feed_forward/inner", (f"{theirs}.ffn.lin1",)
        yield f"{ours}/feed_forward/outer", (f"{theirs}.ffn.lin2",)
        yield f"{ours}/feed_forward/norm", (f"{theirs}.output_layer_norm",)
    yield "mlm/dense", ("vocab_transform",)
    yield "mlm/norm", ("vocab_layer_norm",)
