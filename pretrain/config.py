"""Settings of the pretraining commands."""

from dataclasses import dataclass, replace
from typing import Literal

from stackbert.core.checkpoints import is_random
from stackbert.core.errors import require
from stackbert.core.home import PathText

Transfer = Literal["mean", "random", "similar", "distill"]
FROM_ROWS: tuple[Transfer, ...] = ("similar", "distill")
"""Methods of transfer that need the rows."""
Schedule = Literal["linear", "cosine", "wsd", "constant"]
Decay = Literal["linear", "1-sqrt"]
Device = Literal["auto", "cpu", "gpu", "tpu"]
Precision = Literal["auto", "float32", "bfloat16"]
TextPooling = Literal["mean", "cls", "cls+mean"]

REPLACED_BY_MASK, REPLACED_BY_RANDOM = 0.8, 0.1  # Devlin et al. 2019, section 3.1; 10 % stay as they are
OF_TOKENS = ("masked_lm", "causal")
"""Objectives that predict the text's own tokens: they train the MLM head."""
OF_TARGETS = ("tags", "words")
"""Objectives that predict targets which the rows hold beside their tokens."""
EXECUTION_FIELDS = ("device", "micro_batch_rows", "steps_per_execution", "state_folder", "save_seconds")
"""Settings of PretrainConfig that do not change the result, except for the rounding of sums."""


@dataclass(frozen=True)
class PretrainConfig:
    """Continued pretraining, by default masked language modelling.

    The length of training is one of tokens, steps, epochs or minutes.
    """

    objective: Literal["masked_lm", "causal", "tags", "pairs", "words"] = "masked_lm"
    """'masked_lm': predict masked tokens. 'causal': predict each token from those before it, for a phase that one of
    masks follows; a step takes about twice as long, with the logits of all tokens of a micro-batch in memory. 'tags':
    predict each text's tags outside the label set from its vector; needs rows encoded with --targets tags, and a
    learning_rate of about 8e-5. 'pairs': find each text's partner among the texts of the batch; needs rows encoded with
    --targets pairs, a large batch, and a learning_rate of about 5e-5. 'words': predict the words of a post's body from
    its title's vector; needs rows encoded with --targets words. 'tags' and 'pairs' leave the MLM head untrained."""
    base: PathText = "minilm"
    """Checkpoint to initialise from: 'minilm', a local folder or a Hugging Face hub id. 'random-tiny', 'random-mini',
    'random-small' and 'random-medium' are BERTs with random weights."""
    transfer: Transfer = "mean"
    """Initialisation of tokens that are not in the base's vocabulary. 'mean': the mean of the embeddings of their
    subtokens in the base (FVT). 'random': noise. 'similar': a weighted mean of the embeddings of shared tokens with
    similar contexts in the rows (FOCUS). 'distill': the mean, fitted so that the base reads the tokens in contexts from
    the rows as it read their subtokens (token distillation); takes minutes."""
    transfer_contexts: int = 20
    """Rows that each new token is fitted on, if there are as many. Used with transfer 'distill'."""
    transfer_tokens: int = 500_000
    """Most tokens of rows to fit new tokens on; five minutes for MiniLM on two CPU cores. Rare tokens get their first
    rows before frequent ones get more. Used with transfer 'distill'."""
    head_bias: Literal["frequencies", "calibrated"] = "frequencies"
    """Bias of the MLM head that a base without one is given. 'frequencies': tokens' log frequencies. 'calibrated': such
    that its mean prediction before training has the frequencies, which starts at a lower loss."""
    extend_positions: bool = False
    """Allow rows longer than the base's maximum length, by repeating its position embeddings."""
    new_rows_first: float = 0.0
    """Fraction of the steps that first train the rows of new tokens in the word table, and the MLM head, everything
    else frozen. Ignored if the vocabulary is the base's own."""
    embeddings_first: float = 0.0
    """Fraction of the steps that first, or after new_rows_first, train the word embeddings and the MLM head only,
    everything else frozen. Ignored if the vocabulary is the base's own."""
    tokens: int = 20_000_000
    """Training length in tokens, padding included. The default takes about an hour for a 6 x 384 encoder on two CPU
    cores."""
    steps: int = 0
    """Training length in steps; overrides tokens. 0: not set."""
    epochs: float = 0.0
    """Training length in passes over all rows; overrides tokens. 0: not set."""
    minutes: float = 0.0
    """Training length in minutes on this machine; overrides tokens. Some steps are timed first, and a resumed run keeps
    the number of steps computed from them. 0: not set."""
    batch_rows: int = 32
    """Batch size in packed rows, over all devices."""
    micro_batch_rows: int = 0
    """Maximum rows per device in one forward and backward pass; gradients are accumulated over the micro-batches of a
    step; with objective 'pairs', whose loss compares all texts of the batch, those of their vectors (GradCache). 0: all
    of the device's rows."""
    learning_rate: float = 3e-4
    """Peak learning rate of AdamW. Small encoders tolerate more than the 1e-4 of BERT-base."""
    head_learning_rate: float = 5e-3
    """Peak learning rate of the head that predicts tags, which starts from zeros, and of the bias that words have. Used
    with objectives 'tags' and 'words'."""
    tag_pooling: TextPooling = "mean"
    """Vector of a text that tags or words are predicted from, or that is compared with its partner's: the mean over
    tokens, the first token's, or both. Fine-tune with the same pooling. Used with objectives 'tags', 'pairs' and
    'words', the last one with the mean or the first token's alone, which the MLM head can read; and by the probe."""
    temperature: float = 0.05
    """What cosines of texts are divided by before the softmax: the lower, the more the nearest wrong partners count.
    Used with objective 'pairs'."""
    warmup_share: float = 0.06
    """Fraction of the steps with linear warm-up of the learning rate."""
    schedule: Schedule = "linear"
    """Decay of the learning rate to 0 after warm-up. 'wsd' (warm-up, stable, decay) stays at the peak until the last
    decay_share of the steps. 'constant' does not decay: for a phase that another one follows."""
    decay_share: float = 0.2
    """Fraction of the steps over which 'wsd' decays."""
    decay: Decay = "linear"
    """How 'wsd' decays: linearly, or as '1-sqrt', which falls fast at first: 1 - the square root of the share of the
    decay that is done."""
    weight_decay: float = 0.01
    """Decoupled weight decay; not applied to biases and LayerNorm."""
    clip_norm: float = 1.0
    """Maximum global norm of the gradient."""
    spike_factor: float = 10.0
    """Skip the update of a step whose gradient norm exceeds this multiple of the running mean. 0: never skip."""
    mask_rate: float = 0.15
    """Fraction of a row's tokens, without special tokens, to mask."""
    new_token_rate: float = 1.0
    """How often tokens that the base does not have are masked, as a multiple of how often its own are. The number of
    masked tokens stays that of mask_rate. 2 trains new tokens more; validation masks stay as with 1."""
    mask_share: float = REPLACED_BY_MASK
    """Fraction of masked positions that are replaced by [MASK]."""
    random_share: float = REPLACED_BY_RANDOM
    """Fraction of masked positions that are replaced by a random token; the rest keep their token."""
    whole_words: bool = False
    """Mask all tokens of a word together (whole-word masking)."""
    distill_weight: float = 0.0
    """Weight of the distillation loss: the cosine distance between each text's vectors (mean and first token) and those
    of the frozen base, which reads the text unmasked. 10 suits sentence encoders such as MiniLM. Steps take about 1.5
    times as long. 0: no distillation."""
    distill_decay_share: float = 0.0
    """Fraction of the steps, at the end, over which distill_weight decays linearly to 0 (teacher annealing). 0: it does
    not decay."""
    precision: Precision = "auto"
    """Data type of matrix products and activations; weights stay float32. 'auto': bfloat16 where it is faster."""
    seed: int = 0
    """Random seed of the row order, the masks and new weights."""
    device: Device = "auto"
    """Devices to train on. 'auto': the machines in TF_CONFIG, else a TPU, else all GPUs, else the CPU."""
    steps_per_execution: int = 0
    """Steps in one call of the compiled training function. A run is not logged, saved or stopped within a call. 0: 1 on
    a CPU, 50 on accelerators."""
    state_folder: PathText = ""
    """Where to save training states: any path TensorFlow can write to, such as gs://bucket/run. Empty: next to the
    output."""
    save_seconds: float = 60.0
    """Interval between saved training states, from which a stopped run resumes exactly. 0: save after every step."""
    evaluations: int = 5
    """Number of validations during training, in addition to those before and after it."""
    exports: int = 0
    """Number of intermediate checkpoints, evenly spaced, written to 'checkpoints/step-N' in the output."""
    validation_rows: int = 256
    """Number of rows for the validation loss, spread over the validation split, with the same masks each time."""
    probe_labels: PathText = ""
    """Labelled set for a probe at each evaluation: a logistic regression per label on the frozen encoder's vectors
    (tag_pooling) of its train texts, and the weighted F1 on its dev texts. Test is not read. In a study with stop_by
    'probe': by default the study's own. Empty: no probe."""
    probe_texts: int = 2_000
    """Most train texts of a probe, and most dev texts. An evaluation encodes the first 128 tokens of each."""
    stop_by: Literal["budget", "probe"] = "budget"
    """'budget': train to the end and export the last weights. 'probe': export the weights of the evaluation with the
    best F1 on dev, that at step 0 included, and stop early (probe_patience). Use with more evaluations, and a schedule
    that does not decay to the end of the budget ('constant' or 'wsd')."""
    probe_patience: int = 3
    """Evaluations without a better F1 on dev after which stop_by 'probe' ends the run. 0: it runs to its end."""

    def __post_init__(self) -> None:
        for name in (
            *("tokens", "batch_rows", "learning_rate", "head_learning_rate", "clip_norm", "validation_rows"),
            *("transfer_contexts", "transfer_tokens", "new_token_rate", "probe_texts"),
        ):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        for name in (
            *("steps", "epochs", "minutes", "micro_batch_rows", "steps_per_execution", "exports", "spike_factor"),
            *("distill_weight", "weight_decay", "save_seconds", "evaluations", "probe_patience"),
        ):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        budgets = [name for name in ("steps", "epochs", "minutes") if getattr(self, name)]
        require(len(budgets) <= 1, f"{' and '.join(budgets)}: set one of them")
        require(not 0 < self.spike_factor <= 1, f"spike_factor {self.spike_factor}: must be above 1, or 0")
        self._check_distillation()
        require(
            not (self.objective == "words" and "+" in self.tag_pooling),
            f"tag_pooling {self.tag_pooling}: objective words needs one vector of the encoder's width; set mean or cls",
        )
        require(0 < self.temperature <= 1, f"temperature {self.temperature}: must be above 0, and 1 at most")
        require(0 < self.mask_rate < 1, f"mask_rate {self.mask_rate}: must be above 0 and below 1")
        shares = self.mask_share + self.random_share
        require(
            self.mask_share >= 0 and self.random_share >= 0 and shares <= 1,
            f"mask_share {self.mask_share}, random_share {self.random_share}: must be 0 or more, their sum 1 at most",
        )
        for name in ("new_rows_first", "embeddings_first"):
            require(0 <= getattr(self, name) < 1, f"{name} {getattr(self, name)}: must be from 0 to below 1")
        first = self.new_rows_first + self.embeddings_first
        require(first < 1, f"new_rows_first and embeddings_first: their sum is {first:g}, must be below 1")
        require(0 < self.decay_share <= 1, f"decay_share {self.decay_share}: must be above 0, and 1 at most")
        require(0 <= self.warmup_share <= 1, f"warmup_share {self.warmup_share}: must be from 0 to 1")

    def _check_distillation(self) -> None:
        require(
            not (self.distill_weight and is_random(self.base)),
            f"distill_weight {self.distill_weight:g}: {self.base} has random weights and cannot be a teacher; give a "
            "trained base, or distill_weight 0",
        )
        require(
            not (self.distill_weight and self.objective != "masked_lm"),
            f"distill_weight {self.distill_weight:g}: goes with objective masked_lm only",
        )
        share = self.distill_decay_share
        require(0 <= share <= 1, f"distill_decay_share {share}: must be from 0 to 1")

    @property
    def recorded(self) -> "PretrainConfig":
        """The configuration in the manifest: settings that do not change the result have their defaults."""
        return replace(self, **{name: getattr(PretrainConfig, name) for name in EXECUTION_FIELDS})


def unused_settings(config: PretrainConfig, has_new_vocabulary: bool, has_mlm_head: bool) -> list[str]:
    """A note for each setting that is not at its default and has no effect beside the others.

    `has_mlm_head` is whether the base has one.
    """
    has_new_tokens = has_new_vocabulary and not is_random(config.base)
    of_masks, new = config.objective == "masked_lm", "a vocabulary that is not the base's own"
    reads_texts = bool(config.probe_labels) or config.objective in ("tags", "pairs", "words")
    used = {
        **dict.fromkeys(("mask_rate", "mask_share", "random_share", "whole_words"), (of_masks, "objective masked_lm")),
        "new_token_rate": (of_masks and has_new_tokens, f"objective masked_lm and {new}"),
        "head_learning_rate": (config.objective in OF_TARGETS, "objective tags or words"),
        "tag_pooling": (reads_texts, "objective tags, pairs or words, or probe_labels"),
        "temperature": (config.objective == "pairs", "objective pairs"),
        "distill_decay_share": (config.distill_weight > 0, "distill_weight"),
        **dict.fromkeys(("decay", "decay_share"), (config.schedule == "wsd", "schedule wsd")),
        "head_bias": (
            config.objective in OF_TOKENS and not has_mlm_head,
            "objective masked_lm or causal, and a base without an MLM head",
        ),
        "transfer": (has_new_tokens, new),
        **dict.fromkeys(("new_rows_first", "embeddings_first"), (has_new_vocabulary, new)),
        **dict.fromkeys(("transfer_contexts", "transfer_tokens"), (config.transfer == "distill", "transfer distill")),
        "probe_texts": (bool(config.probe_labels), "probe_labels"),
        "probe_patience": (config.stop_by == "probe", "stop_by probe"),
    }
    return [
        f"{name} {getattr(config, name)}: no effect; used only with {condition}"
        for name, (is_used, condition) in used.items()
        if not is_used and getattr(config, name) != getattr(PretrainConfig, name)
    ]


@dataclass(frozen=True)
class MergeConfig:
    """Interpolation between a base and its adapted checkpoint."""

    share: float = 0.5
    """Weight of the adapted checkpoint; the base's is 1 - share."""

    def __post_init__(self) -> None:
        require(0 < self.share < 1, f"share {self.share}: must be above 0 and below 1")
