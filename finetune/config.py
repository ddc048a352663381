"""What one can choose about fine-tuning and comparing."""

from dataclasses import dataclass, field
from typing import Literal

from corpora.errors import require


@dataclass(frozen=True)
class FinetuneConfig:
    """Two-phase multi-label fine-tuning: a sigmoid head on the frozen encoder, then everything at a low rate."""

    max_length: int = 128
    """Tokens of a text that are read, [CLS] and [SEP] included; the rest is cut."""
    pooling: Literal["cls", "mean"] = "cls"
    """What the head sees of a text: the state of its first token, or the mean over its tokens."""
    head_epochs: int = 50
    """Epochs of the head on the frozen encoder's features, which are computed once."""
    head_learning_rate: float = 1e-3
    """Rate of Adam for the head alone."""
    epochs: int = 20
    """Most epochs of the whole model; it stops early by `patience`."""
    learning_rate: float = 1e-5
    """Peak rate of AdamW for the whole model; low, so that what pretraining taught is kept."""
    patience: int = 3
    """Epochs of the whole model without a better dev loss after which it stops; the best weights are kept."""
    batch_size: int = 32
    """Texts in a training step."""
    warmup_share: float = 0.1
    """Share of the whole model's steps over which the rate rises; it then falls linearly."""
    weight_decay: float = 0.01
    """Decoupled decay of the whole model, not on biases and LayerNorm."""
    clip_norm: float = 1.0
    """Largest global norm of the gradient."""
    dropout: float = 0.1
    """On the head's input, while training."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where it is quicker. Weights stay float32."""

    def __post_init__(self) -> None:
        require(
            self.max_length >= 3, f"max_length {self.max_length}: must be 3 or more, as two tokens are [CLS] and [SEP]"
        )
        for name in (
            "head_epochs",
            "head_learning_rate",
            "epochs",
            "learning_rate",
            "patience",
            "batch_size",
            "clip_norm",
        ):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        require(0 <= self.warmup_share <= 1, f"warmup_share {self.warmup_share}: must be from 0 to 1")
        require(self.weight_decay >= 0, f"weight_decay {self.weight_decay}: must be 0 or more")
        require(0 <= self.dropout < 1, f"dropout {self.dropout}: must be from 0 to below 1")


@dataclass(frozen=True)
class CompareConfig:
    """One recipe for every checkpoint, over the same data and seeds."""

    recipe: FinetuneConfig = field(default_factory=FinetuneConfig)
    """How each checkpoint is fine-tuned."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One fine-tuning of each checkpoint per seed; they differ in new weights, order and dropout."""
    baseline: str = ""
    """Name of the row that the others are measured against; the first checkpoint if empty."""
    tfidf: bool = True
    """Add a row for TF-IDF and logistic regression."""
    resamples: int = 1_000
    """Bootstrap resamples of the test questions."""
    title: str = ""
    """Heading of the report."""

    def __post_init__(self) -> None:
        distinct = len(set(self.seeds)) == len(self.seeds) > 0
        require(distinct, f"seeds {self.seeds}: give at least one, each once")
        require(self.resamples > 0, f"resamples {self.resamples}: must be above 0")
