"""The model cards that go with adapted and merged checkpoints."""

from dataclasses import asdict
from pathlib import Path

from pretrain.config import PretrainConfig


def write_card(folder: Path, config: PretrainConfig, notes: list[str], history: list[dict[str, float]]) -> None:
    """Write `README.md`: what the checkpoint is, from what it was made, and how well it guesses masked tokens."""
    columns = {"loss": "loss", "accuracy": "accuracy", "bits_per_byte": "bits a byte"}
    if config.distill_weight:
        columns["distance"] = "distance from the base"
    kept = "; distance: 1 - cosine, of each text's mean and first vector, added" if config.distill_weight else ""
    points = ["".join(f" | {point[name]:.3f}" for name in columns) for point in history]
    curve = "".join(f"| {point['tokens']:,}{of_it} |\n" for point, of_it in zip(history, points, strict=True))
    settings = "".join(f"- {name}: {value}\n" for name, value in asdict(config.recorded).items())
    made = "".join(f"- {note}\n" for note in notes)
    (folder / "README.md").write_text(
        f"""---
library_name: transformers
pipeline_tag: fill-mask
---

# Encoder adapted by continued pretraining

Started from `{config.base}` and trained as a masked language model with Stackbert. `manifest.json` beside this file
holds the hashes of everything that went in.

{made}
Held-out text, the same masks at each measurement (loss in nats a masked token{kept}):

| tokens read | {" | ".join(columns.values())} |
|---|{"---|" * len(columns)}
{curve}
Configuration:

{settings}""",
        "utf-8",
    )


def write_merged_card(folder: Path, base: Path, adapted: Path, share: float) -> None:
    """Write `README.md` of a checkpoint that lies `share` of the way from `base` to `adapted`."""
    (folder / "README.md").write_text(
        f"""---
library_name: transformers
pipeline_tag: fill-mask
---

# Encoder between a base and its adaptation

Its weights lie {share:g} of the way from `{base.name}` to `{adapted.name}`, which continued pretraining with Stackbert
made of it. `manifest.json` beside this file holds the hashes of both.
""",
        "utf-8",
    )
