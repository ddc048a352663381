"""Settings of fine-tuning, of comparisons, of exports and of preflight."""

from dataclasses import dataclass, field, replace
from typing import Literal

from pretrain.config import Device, Precision, TextPooling
from stackbert.core.errors import require
from stackbert.core.home import PathText

NOT_RECORDED = ("reuse", "device", "save_seconds")
"""Settings of CompareConfig that do not change the result, except for the rounding of sums; not in the manifest."""


@dataclass(frozen=True)
class FinetuneConfig:
    """Two-phase multi-label fine-tuning: a sigmoid head on the frozen encoder, then the whole model at a low rate."""

    max_length: int = 128
    """Maximum number of tokens per text, including [CLS] and [SEP]; longer texts are truncated."""
    title_tokens: int = 0
    """Maximum number of tokens of the title, which is a text's first line. 0 means no limit besides max_length."""
    body_tokens: int = 0
    """Maximum number of tokens of the body without its code blocks. 0 means no limit besides max_length."""
    code_tokens: int = 0
    """Maximum number of tokens of the code blocks, as marked by 'corpora build --code mark'. 0 means no limit besides
    max_length. If any of these three limits is set, a text is encoded as title, body, code."""
    pooling: TextPooling = "cls"
    """Input of the head: the first token's hidden state, the mean over tokens, or both concatenated."""
    hidden_layer: bool = False
    """Add a hidden layer of the encoder's width to the head."""
    loss: Literal["cross-entropy", "focal", "asymmetric"] = "cross-entropy"
    """Loss per label: binary cross entropy, or the focal or asymmetric loss, which reduce the weight of easy labels."""
    balance: float = 0.0
    """Exponent of a label's positive weight, (negatives / positives) ** balance. 0 means no weighting; 1 gives
    positives and negatives the same total weight."""
    thresholds: Literal["global", "label"] = "global"
    """Tune one decision threshold for all labels ('global') or one per label ('label'); labels with few dev texts use
    the global one. Thresholds maximize weighted F1 on dev."""
    head_epochs: int = 50
    """Number of epochs of the head on the frozen encoder, whose features are computed once."""
    head_learning_rate: float = 1e-3
    """Learning rate of Adam for the head, on standardized features."""
    epochs: int = 20
    """Maximum number of epochs of the whole model; see patience."""
    learning_rate: float = 1e-5
    """Peak learning rate of AdamW for the whole model; low, to preserve what pretraining learned."""
    patience: int = 3
    """Stop after this many epochs of the whole model without improvement on dev; the best weights are restored."""
    best_by: Literal["loss", "weighted_f1"] = "loss"
    """Dev metric that selects the best epoch of the whole model. At a high learning rate, weighted F1 can still improve
    while the loss increases."""
    batch_size: int = 32
    """Number of texts per training step."""
    layer_decay: float = 1.0
    """Factor on the learning rate from each layer to the one below it; embeddings are the lowest. 1 means no decay."""
    warmup_share: float = 0.1
    """Share of the whole model's training steps used for linear warm-up; the rate then decays linearly to 0."""
    weight_decay: float = 0.01
    """Decoupled weight decay of the whole model, not applied to biases and LayerNorm."""
    clip_norm: float = 1.0
    """Maximum global norm of the gradient."""
    dropout: float = 0.1
    """Dropout rate on the head's input during training; a dropped value becomes the training texts' mean."""
    precision: Precision = "auto"
    """Precision of matrix products; 'auto' uses bfloat16 where it is faster. Weights are always float32."""

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
        reserved = sum(self.section_budgets)
        require(
            reserved <= self.max_length - 2,
            f"title_tokens, body_tokens, code_tokens: together {reserved}, but max_length {self.max_length} has room "
            f"for {self.max_length - 2}; raise it, or lower them",
        )

    @property
    def section_budgets(self) -> tuple[int, int, int]:
        """Maximum number of tokens of title, body and code; 0 for a section without a limit of its own."""
        return self.title_tokens, self.body_tokens, self.code_tokens


@dataclass(frozen=True)
class CompareConfig:
    """Fine-tunes every checkpoint with the same recipe, data and seeds."""

    recipe: FinetuneConfig = field(default_factory=FinetuneConfig)
    """Fine-tuning settings, the same for every checkpoint."""
    search_poolings: tuple[TextPooling, ...] = ()
    """Candidates for the recipe's pooling, of which each checkpoint gets the one with the best dev weighted F1 of the
    head alone, with the first seed. Without any, all have the recipe's. One pooling for all is not fair: which one is
    better is a matter of how a checkpoint was pretrained, and can be worth a point."""
    search_learning_rates: tuple[float, ...] = ()
    """Candidates for the recipe's learning_rate, of which each checkpoint gets the one with the best dev weighted F1 of
    the whole model, with the first seed and the chosen pooling. Each is one trial more, but that of the chosen one,
    which is the first seed's. Chosen on all training texts, and used for label_sizes and exported checkpoints, too."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Random seeds; each checkpoint is fine-tuned once per seed. A seed fixes the order of texts, dropout, and the
    initial weights of the head's hidden layer."""
    baseline: str = ""
    """Name of the system that all others are compared with. Defaults to the first checkpoint."""
    tfidf: bool = True
    """Add TF-IDF with logistic regression as a system."""
    word_vectors: bool = True
    """Add averaged fastText vectors, learned from the training texts, with a small neural network as a system."""
    cleaned: bool = False
    """Add each checkpoint a second time, on texts without stop words, digits and punctuation. No classifier is saved
    for these systems."""
    label_sizes: tuple[int, ...] = ()
    """Further, smaller numbers of training texts at which every system is trained, for a learning curve."""
    include_exports: bool = False
    """Also fine-tune the intermediate checkpoints saved by 'pretrain run --exports', for the gain per token of
    pretraining."""
    resamples: int = 1_000
    """Number of bootstrap resamples of the test texts."""
    equivalence_points: float = 1.0
    """Margin of the verdict 'equivalent', in points of weighted F1. 1, as another seed moves a fine-tuned checkpoint
    nearly as far (a standard deviation of 0.4 to 0.7 points was measured)."""
    title: str = ""
    """Title of the report."""
    reuse: tuple[PathText, ...] = ()
    """Output folders of earlier comparisons, finished or interrupted. Trials with the same checkpoint, recipe, data,
    number of training texts and seed are copied from them."""
    device: Device = "auto"
    """Devices to fine-tune on, which share each batch. 'auto': the machines in TF_CONFIG, else a TPU, else all GPUs,
    else the CPU. batch_size must be a multiple of their number."""
    save_seconds: float = 60.0
    """Interval between saved training states, from which a stopped comparison continues within a trial, exactly. The
    end of an epoch is saved, too. 0: save after every step."""

    def __post_init__(self) -> None:
        distinct = len(set(self.seeds)) == len(self.seeds) > 0
        require(distinct, f"seeds {self.seeds}: give at least one, each once")
        self._check_search()
        sizes = self.label_sizes
        require(all(size > 0 for size in sizes), f"label_sizes {sizes}: must be above 0")
        require(len(set(sizes)) == len(sizes), f"label_sizes {sizes}: each once")
        require(self.save_seconds >= 0, f"save_seconds {self.save_seconds}: must be 0 or more")
        require(self.resamples > 1, f"resamples {self.resamples}: must be above 1")
        points = self.equivalence_points
        require(0 < points < 100, f"equivalence_points {points}: must be above 0, below 100")
        require(
            not (self.cleaned and any(self.recipe.section_budgets)),
            "cleaned: a cleaned text is a single line, so title_tokens, body_tokens and code_tokens do not apply; "
            "use either",
        )

    def _check_search(self) -> None:
        for name in ("search_poolings", "search_learning_rates"):
            values = getattr(self, name)
            require(
                len(set(values)) == len(values) != 1,
                f"{name} {values}: give two or more, each once, or none and set it in the recipe",
            )
        require(
            all(rate > 0 for rate in self.search_learning_rates),
            f"search_learning_rates {self.search_learning_rates}: must be above 0",
        )
        for setting, name in (("pooling", "search_poolings"), ("learning_rate", "search_learning_rates")):
            value, tried = getattr(self.recipe, setting), getattr(self, name)
            is_default = value == getattr(FinetuneConfig, setting)
            require(
                not tried or is_default or value in tried,
                f"recipe.{setting} {value}: is not among {name} {tried}, one of which replaces it; add it there, or "
                "leave it out of the recipe",
            )

    @property
    def margin(self) -> float:
        """The margin of equivalence as a difference in weighted F1."""
        return self.equivalence_points / 100

    @property
    def recorded(self) -> "CompareConfig":
        """The configuration as recorded in the manifest, with the settings of NOT_RECORDED at their defaults."""
        return replace(self, **{name: getattr(CompareConfig, name) for name in NOT_RECORDED})


@dataclass(frozen=True)
class ExportConfig:
    """Format of 'finetune export'."""

    format: Literal["onnx", "sentence-transformers"] = "onnx"
    """'onnx' is a classifier for runtimes without TensorFlow or PyTorch. 'sentence-transformers' is the encoder of a
    classifier or of a checkpoint, for vectors of texts."""
    pooling: TextPooling | None = None
    """Of 'sentence-transformers': how tokens become one vector. By default what the classifier was trained with or the
    checkpoint declares, else the mean."""
    normalize: bool | None = None
    """Of 'sentence-transformers': divide vectors by their length. By default as the checkpoint declares, else not."""

    def __post_init__(self) -> None:
        require(
            self.format != "onnx" or (self.pooling is None and self.normalize is None),
            "pooling, normalize: are those of format sentence-transformers; an ONNX classifier has its own",
        )


@dataclass(frozen=True)
class FinetunePreflightConfig:
    """The classifier, recipe and TPU slice to compile fine-tuning for."""

    model: PathText = "6x384"
    """LAYERSxWIDTH, a local folder, a Hugging Face hub id, 'minilm' or 'random-small'."""
    vocab_size: int = 30_522
    """Vocabulary size of a LAYERSxWIDTH or random model."""
    num_labels: int = 25
    """Number of labels."""
    text_tokens: int = 64
    """Tokens of a text, of which a row of max_length holds several if they fit."""
    topology: str = "v5e:2x4"
    """TPU generation and slice shape: v5e:2x2, v5e:4x4, v6e:2x4, v4:2x2x1, v5p:2x2x1."""
    find_batch: bool = False
    """Also search for the largest batch that fits; compiles the step several times."""
    compiler_python: PathText = ""
    """Python interpreter that has jax and libtpu, such as /path/to/venv/bin/python. Empty: this one."""
    recipe: FinetuneConfig = field(default_factory=FinetuneConfig)
    """Fine-tuning settings; batch_size is that over all chips."""

    def __post_init__(self) -> None:
        require(self.vocab_size > 10, f"vocab_size {self.vocab_size}: must be above 10")
        for name in ("num_labels", "text_tokens"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
