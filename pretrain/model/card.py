"""Model cards of pretrained and merged checkpoints."""

from dataclasses import asdict
from pathlib import Path

from pretrain.config import PretrainConfig

OBJECTIVES = {
    "masked_lm": ("masked language modelling", "masked token"),
    "causal": ("causal language modelling", "predicted token"),
    "tags": ("prediction of the texts' tags, outside the label set,", "text"),
    "words": ("prediction of a body's words from its title's vector", "title"),
    "pairs": ("contrastive learning on pairs of texts", "pair"),
}
"""Objective, and what its loss is a mean over."""


def write_card(folder: Path, config: PretrainConfig, notes: list[str], history: list[dict[str, float]]) -> None:
    """Write `README.md`: the checkpoint's origin, its validation losses and its configuration."""
    known = {
        "loss": "loss",
        "accuracy": "accuracy",
        "bits_per_byte": "bits per byte",
        "distill_loss": "distillation loss",
        "dev_weighted_f1": "probe's weighted F1 on dev",
    }
    columns = {name: title for name, title in known.items() if name in history[0]}
    objective, unit = OBJECTIVES[config.objective]
    also = "; distillation loss: 1 - cosine, summed over each text's two vectors" if config.distill_weight else ""
    points = ["".join(f" | {point[name]:.3f}" for name in columns) for point in history]
    curve = "".join(f"| {point['tokens']:,}{values} |\n" for point, values in zip(history, points, strict=True))
    settings = "".join(f"- {name}: {value}\n" for name, value in asdict(config.recorded).items())
    steps = "".join(f"- {note}\n" for note in notes)
    (folder / "README.md").write_text(
        f"""---
library_name: transformers
pipeline_tag: {"fill-mask" if config.objective == "masked_lm" else "feature-extraction"}
---

# Encoder adapted by continued pretraining

Initialised from `{config.base}` and trained with {objective} by Stackbert. `manifest.json` beside this
file holds the hashes of all inputs.

{steps}
Validation rows, with the same masks at each step (loss in nats per {unit}{also}):

| tokens read | {" | ".join(columns.values())} |
|---|{"---|" * len(columns)}
{curve}
Configuration:

{settings}""",
        "utf-8",
    )


def write_merged_card(folder: Path, base: Path, adapted: Path, share: float) -> None:
    """Write `README.md` of a checkpoint whose weights are (1 - `share`) x `base` + `share` x `adapted`."""
    (folder / "README.md").write_text(
        f"""---
library_name: transformers
pipeline_tag: fill-mask
---

# Encoder merged from a base and its continued pretraining

Its weights are {1 - share:g} x `{base.name}` + {share:g} x `{adapted.name}`, which continued pretraining with Stackbert
made from it. `manifest.json` beside this file holds the hashes of both.
""",
        "utf-8",
    )
