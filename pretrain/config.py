"""What one can choose about continued pretraining."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PretrainConfig:
    """Continued masked-language-model pretraining."""

    base: str = "minilm"
    """Checkpoint to start from: 'minilm', a local folder, a hub id, or 'random-tiny', -mini, -small, -medium."""
    transfer: Literal["mean", "random"] = "mean"
    """Start of a token the base does not have: the mean of its old pieces' vectors (FVT), or noise."""
    tokens: int = 20_000_000
    """Budget in tokens read, padding included; about an hour for a 6 x 384 encoder on two good cores."""
    batch_rows: int = 32
    """Packed rows in a step."""
    learning_rate: float = 3e-4
    """Peak rate of AdamW; a small encoder bears more than BERT-base's 1e-4."""
    warmup_share: float = 0.06
    """Share of the steps over which the rate rises; it then falls linearly to 0."""
    weight_decay: float = 0.01
    """Decoupled decay, not on biases and LayerNorm."""
    clip_norm: float = 1.0
    """Largest global norm of the gradient."""
    mask_rate: float = 0.15
    """Share of a row's ordinary tokens to predict; 80 % become [MASK], 10 % a random token, 10 % stay."""
    dropout: float = 0.0
    """In the encoder; a pass or two over the text does not overfit, and random numbers cost 30 % on a CPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where the machine has it. Weights stay float32."""
    seed: int = 0
    """Fixes order, masks and new weights."""
    save_seconds: float = 60.0
    """Pause between saved states, from which a stopped run goes on exactly."""
    evaluations: int = 5
    """Measurements of the held-out loss along the run, beside those before and after it."""
    held_out_rows: int = 256
    """Rows that the held-out loss is measured on, the same masks each time."""
