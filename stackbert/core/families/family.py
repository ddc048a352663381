"""What sets a family of encoders apart from the others: its names in transformers, defaults, tensors and positions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

BODY_TABLES = ("embeddings/word", "embeddings/position")
"""Weights of which one is enough to recognise an encoder by."""


@dataclass(frozen=True)
class ClassifierNames:
    """The two dense layers of a family's class for sequence classification."""

    inner: str
    outer: str
    activation: Literal["tanh", "relu", "gelu"]
    """Of the inner layer."""
    base_has_pooler: bool = True
    """Whether the family's base class makes a pooler unless told not to."""
    norm: str = ""
    """LayerNorm between the two, where there is one; the inner layer then has no bias."""


@dataclass(frozen=True)
class Family:
    """A family of encoders.

    Weights have the names of `pretrain.model.architecture.weight_shapes`; a module is a weight's name without its last
    part. Tensors are named as current transformers saves them.
    """

    name: str
    """`model_type` in `config.json`."""
    class_prefix: str
    """What the names of its classes in transformers begin with."""
    prefix: str
    """First part of its encoder's tensor names in a full model."""
    defaults: Mapping[str, Any]
    """Values of transformers' configuration class, by BERT's names, for fields that `config.json` does not give."""
    tables: Mapping[str, str]
    """Weight -> embedding table, within the encoder."""
    modules: Mapping[str, str]
    """Module -> module beside the layers, within the encoder."""
    layers: str
    """The list of layers, within the encoder."""
    layer_modules: Mapping[str, tuple[str, ...]]
    """Module -> module within a layer: three for `attention/qkv`, or one that holds all three; one for any other."""
    head_modules: Mapping[str, str]
    """Module -> module of the MLM head, in the full model."""
    head_starts: tuple[str, ...]
    """Starts of all names of the MLM head, of which a classifier may have some, too: the MLM head has a bias."""
    mlm_bias: str
    decoder: str
    """The MLM head's decoder, whose weight is the word table."""
    classifier: ClassifierNames
    own_fields: Mapping[str, str] = field(default_factory=dict)
    """BERT's name of a field of `config.json` -> its own."""
    takes_bert_names: bool = False
    """Whether its configuration class takes BERT's names of these fields, too."""
    variants: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Fields of `config.json` -> values that the encoder implements, or that change nothing that it reads; beside those
    of all families, or in place of them."""
    norm_epsilon: float | None = None
    """Of LayerNorm, whatever `config.json` says; None: what it says."""
    counts_from_padding: bool = False
    """Whether a text's first position is the one after the padding's id, not 0."""
    uncounted_id: int | None = None
    """Id that its class in transformers takes for the padding's whatever `config.json` says: a text's first position is
    the one after it, and a token with it has the position of padding."""
    is_pre_norm: bool = False
    """Whether its layers normalise before attention and feed-forward part: ModernBERT's, with rotary positions, local
    attention, gated feed-forward parts and no biases; not after them, as BERT's."""

    @property
    def body(self) -> frozenset[str]:
        """First parts of the encoder's names: every tensor in them changes what the encoder computes."""
        return frozenset(
            name.partition(".")[0] for name in (*self.tables.values(), *self.modules.values(), self.layers)
        )

    @property
    def word_table(self) -> str:
        """The word table in the full model."""
        return self.tensor_names("embeddings/word")[0]

    @property
    def copies(self) -> dict[str, str]:
        """Tensor that a checkpoint may hold -> the one that it must equal."""
        copies = {f"{self.decoder}.weight": self.word_table, f"{self.decoder}.bias": self.mlm_bias}
        return {copy: original for copy, original in copies.items() if copy != original}

    def modules_of(self, num_layers: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each module of the model, and its modules in transformers' full model."""
        for ours, theirs in self.modules.items():
            yield ours, (f"{self.prefix}.{theirs}",)
        for layer in range(num_layers):
            place = f"{self.prefix}.{self.layers}.{layer}"
            for ours, names in self.layer_modules.items():
                yield f"layer_{layer}/{ours}", tuple(f"{place}.{name}" for name in names)
        for ours, theirs in self.head_modules.items():
            yield ours, (theirs,)

    def tensor_names(self, weight: str, modules: Mapping[str, tuple[str, ...]] | None = None) -> tuple[str, ...]:
        """The tensors of a weight in the full model; `modules` (from `modules_of`) are needed for all but tables."""
        if weight == "mlm/bias":
            return (self.mlm_bias,)
        if weight in self.tables:
            return (f"{self.prefix}.{self.tables[weight]}.weight",)
        module, _, leaf = weight.rpartition("/")
        suffix = "bias" if leaf in ("bias", "beta") else "weight"
        return tuple(f"{theirs}.{suffix}" for theirs in (modules or {})[module])
