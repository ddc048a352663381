"""What one can choose about continued pretraining."""

from dataclasses import dataclass
from typing import Literal

from corpora.errors import require

Transfer = Literal["mean", "random", "similar"]
Schedule = Literal["linear", "cosine", "wsd"]


@dataclass(frozen=True)
class PretrainConfig:
    """Continued masked-language-model pretraining."""

    base: str = "minilm"
    """Checkpoint to start from: 'minilm', a local folder, a hub id, or 'random-tiny', -mini, -small, -medium."""
    transfer: Transfer = "mean"
    """Start of a token the base does not have: the mean of its old pieces' vectors (FVT), noise, or a mean of the
    shared tokens that are used most like it in the rows (FOCUS)."""
    embeddings_first: float = 0.0
    """Share of the steps, before the others, that train only the word table and the MLM head; taken where the
    vocabulary is a new one."""
    tokens: int = 20_000_000
    """Budget in tokens read, padding included; about an hour for a 6 x 384 encoder on two good cores."""
    batch_rows: int = 32
    """Packed rows in a step."""
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
    mask_rate: float = 0.15
    """Share of a row's ordinary tokens to predict; 80 % become [MASK], 10 % a random token, 10 % stay."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where it is quicker. Weights stay float32."""
    seed: int = 0
    """Fixes order, masks and new weights."""
    save_seconds: float = 60.0
    """Pause between saved states, from which a stopped run goes on exactly; 0 saves after each step."""
    evaluations: int = 5
    """Measurements of the held-out loss along the run, beside those before and after it."""
    held_out_rows: int = 256
    """Rows that the held-out loss is measured on, spread over the held-out text, the same masks each time."""

    def __post_init__(self) -> None:
        for name in ("tokens", "batch_rows", "learning_rate", "clip_norm", "held_out_rows"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        require(0 < self.mask_rate < 1, f"mask_rate {self.mask_rate}: must be above 0 and below 1")
        require(0 <= self.embeddings_first < 1, f"embeddings_first {self.embeddings_first}: must be from 0 to below 1")
        require(0 < self.decay_share <= 1, f"decay_share {self.decay_share}: must be above 0, and 1 at most")
        require(0 <= self.warmup_share <= 1, f"warmup_share {self.warmup_share}: must be from 0 to 1")
        require(self.weight_decay >= 0, f"weight_decay {self.weight_decay}: must be 0 or more")
        require(self.save_seconds >= 0, f"save_seconds {self.save_seconds}: must be 0 or more")
        require(self.evaluations >= 0, f"evaluations {self.evaluations}: must be 0 or more")


@dataclass(frozen=True)
class BenchConfig:
    """What to time: a model's training step, beside the machine's own matrix products."""

    model: str = "6x384"
    """LAYERSxWIDTH, a local folder, a hub id, 'minilm' or 'random-small'."""
    vocab_size: int = 30_522
    """Tokens of a LAYERSxWIDTH or random model; a checkpoint has its own."""
    row_length: int = 128
    """Tokens in a row, where no rows are given."""
    batch_rows: int = 32
    """Rows in a step."""
    mask_rate: float = 0.15
    """Share of a row's tokens to predict."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where it is quicker."""
    steps: int = 10
    """Steps timed, after the first two; the median is given."""

    def __post_init__(self) -> None:
        for name in ("vocab_size", "row_length", "batch_rows", "steps"):
            require(getattr(self, name) > 0, f"{name} {getattr(self, name)}: must be above 0")
        require(self.vocab_size > 10, f"vocab_size {self.vocab_size}: must be above 10")
        require(0 < self.mask_rate < 1, f"mask_rate {self.mask_rate}: must be above 0 and below 1")
