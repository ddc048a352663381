"""What one can choose about fine-tuning and comparing."""

from dataclasses import dataclass, field, replace
from typing import Literal

from pretrain.config import Precision
from stackbert.core.errors import require

RUN_FIELDS = ("reuse",)
"""Of CompareConfig: where a comparison finds work that is done; the result does not depend on it."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Two-phase multi-label fine-tuning: a sigmoid head on the frozen encoder, then everything at a low rate."""

    max_length: int = 128
    """Tokens of a text that are read, [CLS] and [SEP] included; the rest is cut."""
    title_tokens: int = 0
    """Most tokens of the title, a text's first line; 0: no limit but max_length."""
    body_tokens: int = 0
    """Most tokens of the body without its code; 0: no limit but max_length."""
    code_tokens: int = 0
    """Most tokens of blocks of code, which 'corpora build --code mark' tells from the body; 0: no limit. Where any of
    the three is set, the parts are read in this order."""
    pooling: Literal["cls", "mean", "cls+mean"] = "cls"
    """What the head sees of a text: the state of its first token, the mean over its tokens, or both side by side."""
    hidden_layer: bool = False
    """One hidden layer in the head, as wide as the encoder."""
    loss: Literal["cross-entropy", "focal", "asymmetric"] = "cross-entropy"
    """Binary cross entropy of each label, or a loss that gives easy decisions less weight: see finetune/losses.py."""
    balance: float = 0.0
    """Weight of a label's positives: (negatives / positives) to this power; 0 none, 1 even."""
    thresholds: Literal["global", "label"] = "global"
    """One threshold for all labels, or one for each that dev has enough texts of; tuned on dev for weighted F1."""
    head_epochs: int = 50
    """Epochs of the head on the frozen encoder's features, which are computed once."""
    head_learning_rate: float = 1e-3
    """Rate of Adam for the head alone."""
    epochs: int = 20
    """Most epochs of the whole model; it stops early by `patience`."""
    learning_rate: float = 1e-5
    """Peak rate of AdamW for the whole model; low, so that what pretraining taught is kept."""
    patience: int = 3
    """Epochs of the whole model without a better one on dev after which it stops; the best weights are kept."""
    best_by: Literal["loss", "weighted_f1"] = "loss"
    """Which epoch of the whole model is best on dev: of the lowest loss, or of the highest weighted F1, which can still
    rise where a high learning_rate has begun to overfit."""
    batch_size: int = 32
    """Texts in a training step."""
    layer_decay: float = 1.0
    """Factor on the rate from each layer to the one below it, embeddings last; 1: one rate for all."""
    warmup_share: float = 0.1
    """Share of the whole model's steps over which the rate rises; it then falls linearly."""
    weight_decay: float = 0.01
    """Decoupled decay of the whole model, not on biases and LayerNorm."""
    clip_norm: float = 1.0
    """Largest global norm of the gradient."""
    dropout: float = 0.1
    """On the head's input, while training."""
    precision: Precision = "auto"
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
        for name in ("title_tokens", "body_tokens", "code_tokens"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(0 <= self.balance <= 2, f"balance {self.balance}: must be from 0 to 2")
        require(0 < self.layer_decay <= 1, f"layer_decay {self.layer_decay}: must be above 0, 1 at most")
        require(0 <= self.warmup_share <= 1, f"warmup_share {self.warmup_share}: must be from 0 to 1")
        require(self.weight_decay >= 0, f"weight_decay {self.weight_decay}: must be 0 or more")
        require(0 <= self.dropout < 1, f"dropout {self.dropout}: must be from 0 to below 1")
        kept = sum(self.part_budgets)
        require(
            kept <= self.max_length - 2,
            f"title_tokens, body_tokens, code_tokens: together {kept}, but max_length {self.max_length} has room for "
            f"{self.max_length - 2}; raise it, or lower them",
        )

    @property
    def part_budgets(self) -> tuple[int, int, int]:
        """Most tokens of title, body and code; all 0 where a text is read as it stands."""
        return self.title_tokens, self.body_tokens, self.code_tokens


@dataclass(frozen=True)
class CompareConfig:
    """One recipe for every checkpoint, over the same data and seeds."""

    recipe: FinetuneConfig = field(default_factory=FinetuneConfig)
    """How each checkpoint is fine-tuned."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One fine-tuning of each checkpoint per seed; they differ in new weights, order and dropout."""
    baseline: str = ""
    """Name of the row that the others are measured against, any of the table; the first checkpoint if empty."""
    tfidf: bool = True
    """Add a row for TF-IDF and logistic regression."""
    word_vectors: bool = True
    """Add a row for averaged fastText vectors learned on the training texts and a small net."""
    cleaned: bool = False
    """Add each checkpoint a second time, on texts without stop words, digits and punctuation; of these rows no
    classifier is kept, as it would be given texts as they are."""
    label_sizes: tuple[int, ...] = ()
    """Smaller training sets on which every row is made again: the gain against the number of labelled texts."""
    include_exports: bool = False
    """Fine-tune the checkpoints that a pretraining kept along its run (exports) too: the gain against tokens read."""
    resamples: int = 1_000
    """Bootstrap resamples of the test questions."""
    title: str = ""
    """Heading of the report."""
    reuse: tuple[str, ...] = ()
    """Folders of earlier comparisons, finished or stopped, here or brought from other machines, whose cells are taken
    over where checkpoint, recipe, data, training size and seed are the same."""

    def __post_init__(self) -> None:
        distinct = len(set(self.seeds)) == len(self.seeds) > 0
        require(distinct, f"seeds {self.seeds}: give at least one, each once")
        sizes = self.label_sizes
        require(all(size > 0 for size in sizes), f"label_sizes {sizes}: must be above 0")
        require(len(set(sizes)) == len(sizes), f"label_sizes {sizes}: each once")
        require(self.resamples > 1, f"resamples {self.resamples}: must be above 1")
        require(
            not (self.cleaned and any(self.recipe.part_budgets)),
            "cleaned: such a text is one line, all title to title_tokens, body_tokens and code_tokens; use either",
        )

    @property
    def recorded(self) -> "CompareConfig":
        """The configuration as a manifest has it: without what the result does not depend on."""
        return replace(self, **{name: getattr(CompareConfig, name) for name in RUN_FIELDS})


@dataclass(frozen=True)
class PredictConfig:
    """What is labelled, and how it is shown."""

    file: str = ""
    """File of texts instead of one, one a line; .jsonl, .ndjson and .json hold JSON objects with a 'text'. '-' answers
    standard input line by line, of either kind."""
    top: int = 5
    """Most labels shown of a text."""
    threshold: float = 0.0
    """Show labels from this probability on only; 0 shows all and stars those that reach their own threshold."""
    json: bool = False
    """One JSON object a text instead of lines for people."""

    def __post_init__(self) -> None:
        require(self.top > 0, f"top {self.top}: must be above 0")
        require(0 <= self.threshold <= 1, f"threshold {self.threshold}: must be from 0 to 1")
