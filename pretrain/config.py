"""What one can choose about continued pretraining."""

from dataclasses import dataclass, replace
from typing import Literal

from stackbert.core.checkpoints import is_random
from stackbert.core.errors import require

Transfer = Literal["mean", "random", "similar"]
Schedule = Literal["linear", "cosine", "wsd"]
Device = Literal["auto", "cpu", "gpu", "tpu"]

REPLACED_BY_MASK, REPLACED_BY_RANDOM = 0.8, 0.1  # Devlin et al. 2019, section 3.1; the rest stays as it is
RUN_FIELDS = ("device", "micro_batch_rows", "steps_per_execution", "state_folder", "save_seconds")
"""Of PretrainConfig: how a run is carried out; the result does not depend on it, but for the rounding of sums."""


@dataclass(frozen=True)
class PretrainConfig:
    """Continued masked-language-model pretraining."""

    base: str = "minilm"
    """Checkpoint to start from: 'minilm', a local folder, a hub id, or 'random-tiny', -mini, -small, -medium."""
    transfer: Transfer = "mean"
    """Start of a token the base does not have: the mean of its old pieces' vectors (FVT), noise, or a mean of the
    shared tokens that are used most like it in the rows (FOCUS)."""
    extend_positions: bool = False
    """Rows longer than the base reads: the base's position vectors are taken again from the first; else refused."""
    embeddings_first: float = 0.0
    """Share of the steps, before the others, that train only the word table and the MLM head; taken where the
    vocabulary is a new one."""
    tokens: int = 20_000_000
    """Budget in tokens read, padding included; about an hour for a 6 x 384 encoder on two good cores."""
    steps: int = 0
    """Budget in steps, in place of tokens; 0: not used."""
    epochs: float = 0.0
    """Budget in readings of all rows, in place of tokens; 0: not used."""
    minutes: float = 0.0
    """Budget in minutes of training on this machine, in place of tokens: some steps are timed first, and the number
    found is kept by the run; 0: not used."""
    batch_rows: int = 32
    """Packed rows in a step, over all devices."""
    micro_batch_rows: int = 0
    """Most rows that a device takes through the model at once: of a larger part of the batch, gradients are added up
    (gradient accumulation), in equal turns; 0: all its part."""
    learning_rate: float = 3e-4
    """Peak rate of AdamW; a small encoder bears more than BERT-base's 1e-4."""
    warmup_share: float = 0.06
    """Share of the steps over which the rate rises."""
    schedule: Schedule = "linear"
    """How the rate then falls to 0: evenly, as a cosine, or ('wsd') not before the last decay_share of the steps."""
    decay_share: float = 0.2
    """Share of the steps over which 'wsd' falls."""
    weight_decay: float = 0.01
    """Decoupled decay, not on biases and LayerNorm."""
    clip_norm: float = 1.0
    """Largest global norm of the gradient."""
    spike_factor: float = 10.0
    """A step whose gradient norm is more than so many times the running mean changes nothing; 0: any step counts."""
    mask_rate: float = 0.15
    """Share of a row's ordinary tokens to predict."""
    mask_share: float = REPLACED_BY_MASK
    """Share of those that become [MASK]."""
    random_share: float = REPLACED_BY_RANDOM
    """Share of those that become a random token; the rest stay as they are."""
    whole_words: bool = False
    """Predict all tokens of a word or none (whole-word masking)."""
    distill_weight: float = 0.0
    """Weight of keeping each text's vectors (the mean of its tokens' states, and its first token's) near those of the
    untouched base, which reads the same text unmasked; 10 suits a sentence encoder such as MiniLM. A step takes about
    half as long again. 0: not kept."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where it is quicker. Weights stay float32."""
    seed: int = 0
    """Fixes order, masks and new weights."""
    device: Device = "auto"
    """What to train on; auto takes the machines that TF_CONFIG names, else a TPU, else all GPUs, else the CPU."""
    steps_per_execution: int = 0
    """Steps in one call of the device, between which the run is not saved, stopped or reported; 0: 1 on a CPU, 50
    elsewhere."""
    state_folder: str = ""
    """Where states are saved: any place TensorFlow writes to, such as gs://bucket/run; empty: beside the output."""
    save_seconds: float = 60.0
    """Pause between saved states, from which a stopped run goes on exactly; 0 saves after each step."""
    evaluations: int = 5
    """Measurements of the held-out loss along the run, beside those before and after it."""
    exports: int = 0
    """Checkpoints written along the run, evenly spread, beside the last one: 'checkpoints/step-N' in the output."""
    validation_rows: int = 256
    """Rows that the held-out loss is measured on, spread over the held-out text, the same masks each time."""

    def __post_init__(self) -> None:
        for name in ("tokens", "batch_rows", "learning_rate", "clip_norm", "validation_rows"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        for name in (
            "steps",
            "epochs",
            "minutes",
            "micro_batch_rows",
            "steps_per_execution",
            "exports",
            "spike_factor",
            "distill_weight",
        ):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        budgets = [name for name in ("steps", "epochs", "minutes") if getattr(self, name)]
        require(len(budgets) <= 1, f"{' and '.join(budgets)}: give one budget")
        require(not 0 < self.spike_factor <= 1, f"spike_factor {self.spike_factor}: must be above 1, or 0")
        nothing = self.distill_weight and is_random(self.base)
        require(
            not nothing,
            f"distill_weight {self.distill_weight:g}: {self.base} has random weights and cannot be a teacher; give a "
            "trained base, or distill_weight 0",
        )
        require(0 < self.mask_rate < 1, f"mask_rate {self.mask_rate}: must be above 0 and below 1")
        shares = self.mask_share + self.random_share
        require(
            self.mask_share >= 0 and self.random_share >= 0 and shares <= 1,
            f"mask_share {self.mask_share}, random_share {self.random_share}: must be 0 or more, their sum 1 at most",
        )
        require(0 <= self.embeddings_first < 1, f"embeddings_first {self.embeddings_first}: must be from 0 to below 1")
        require(0 < self.decay_share <= 1, f"decay_share {self.decay_share}: must be above 0, and 1 at most")
        require(0 <= self.warmup_share <= 1, f"warmup_share {self.warmup_share}: must be from 0 to 1")
        require(self.weight_decay >= 0, f"weight_decay {self.weight_decay}: must be 0 or more")
        require(self.save_seconds >= 0, f"save_seconds {self.save_seconds}: must be 0 or more")
        require(self.evaluations >= 0, f"evaluations {self.evaluations}: must be 0 or more")

    @property
    def recorded(self) -> "PretrainConfig":
        """The configuration as a manifest has it: without what the result does not depend on."""
        return replace(self, **{name: getattr(PretrainConfig, name) for name in RUN_FIELDS})


@dataclass(frozen=True)
class MergeConfig:
    """Where between a base and its adapted checkpoint the merged one lies."""

    share: float = 0.5
    """Of the way from the base to the adapted checkpoint."""

    def __post_init__(self) -> None:
        require(0 < self.share < 1, f"share {self.share}: must be above 0 and below 1")


@dataclass(frozen=True)
class ModelConfig:
    """A model and the batches it is trained on, where no run is meant yet."""

    model: str = "6x384"
    """LAYERSxWIDTH, a local folder, a hub id, 'minilm' or 'random-small'."""
    vocab_size: int = 30_522
    """Tokens of a LAYERSxWIDTH or random model; a checkpoint has its own."""
    row_length: int = 128
    """Tokens in a row, where no rows are given."""
    batch_rows: int = 32
    """Rows in a step, over all devices."""
    mask_rate: float = 0.15
    """Share of a row's tokens to predict."""

    def __post_init__(self) -> None:
        for name in ("row_length", "batch_rows"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        require(self.vocab_size > 10, f"vocab_size {self.vocab_size}: must be above 10")
        require(0 < self.mask_rate < 1, f"mask_rate {self.mask_rate}: must be above 0 and below 1")


@dataclass(frozen=True)
class BenchConfig(ModelConfig):
    """What to time: a model's training step, beside the machine's own matrix products."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where it is quicker."""
    steps: int = 10
    """Calls timed, after the first two, of one step on a CPU and of 50 elsewhere; the median is given."""
    device: Device = "auto"
    """What to run on; auto as in 'pretrain run'."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps > 0, f"steps {self.steps}: must be above 0")


@dataclass(frozen=True)
class PreflightConfig(ModelConfig):
    """What to compile for a TPU slice that is not here."""

    topology: str = "v5e:2x4"
    """Generation and shape of the slice: v5e:2x2, v5e:4x4, v6e:2x4, v4:2x2x1, v5p:2x2x1."""
    batch_rows: int = 1_024
    """Rows in a step, over all chips."""
    micro_batch_rows: int = 0
    """Most rows that a chip takes through the model at once (gradient accumulation); 0: all its part."""
    teacher_row_length: int = 0
    """Tokens in a row as the base reads it, in a run with distill_weight: row_length, half as many again with a new
    vocabulary. What the host does for it is not in the figures. 0: a run without."""
    find_batch: bool = False
    """Also find the largest batch that fits, by compiling a few more."""
    compiler_python: str = ""
    """Python that has jax and libtpu, where it is not this one: /path/to/venv/bin/python."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            not (self.find_batch and self.micro_batch_rows),
            "find_batch: with micro_batch_rows any batch fits that a turn of it does; take one of the two",
        )


@dataclass(frozen=True)
class PretrainPlanConfig:
    """What to reckon for a pretraining run before it begins."""

    topologies: tuple[str, ...] = ()
    """TPU slices to compile for, as v5e:2x4 and v6e:2x2."""
    price_here: float = 0.0
    """Money an hour of this machine; 0: not reckoned."""
    price_chip: float = 0.0
    """Money an hour of one TPU chip; 0: not reckoned."""
    text_gigabytes: float = 0.0
    """Size of the text that an epoch reads, where the rows are a sample of it; 0: the rows' own. The posts of the full
    Stack Overflow dump are some 47 when cleaned."""
    roofline_share: float = 0.4
    """Share of the roofline that a TPU is taken to reach; a well-filled one reaches a third to a half."""
    seconds: float = 60.0
    """Time to train here for the measurement."""
    compiler_python: str = ""
    """Python that has jax and libtpu, where it is not this one."""

    def __post_init__(self) -> None:
        for name in ("price_here", "price_chip", "text_gigabytes"):
            require(getattr(self, name) >= 0, f"{name} {getattr(self, name)}: must be 0 or more")
        require(0 < self.roofline_share <= 1, f"roofline_share {self.roofline_share}: must be above 0, and 1 at most")
        require(self.seconds > 0, f"seconds {self.seconds}: must be above 0")
