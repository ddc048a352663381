"""The model card that goes with a kept classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from finetune.config import FinetuneConfig
from finetune.metrics.metrics import DEFINITIONS
from stackbert.core.printing import escape_markdown, markdown_lines, printable

IN_TRANSFORMERS = """```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
read = tokenizer("How do I join two tables?", truncation=True, max_length={max_length}, return_tensors="pt")
read.pop("token_type_ids", None)
with torch.no_grad():
    probabilities = torch.sigmoid(model(**read).logits)[0]
labels = [model.config.id2label[i] for i, p in enumerate(probabilities) if p >= model.config.thresholds[i]]
```"""
OURS_ONLY = (
    "Its head reads the mean over tokens, which the classes of transformers do not know: as a classifier it opens with "
    "`stackbert finetune predict` and `serve` only; as an encoder it opens in transformers."
)
OURS_BY_PARTS = (
    "It reads so many tokens of a text's title, of its body and of its code, which the tokenizers of transformers do "
    "not tell apart: as trained, it labels texts with `stackbert finetune predict` and `serve` only."
)
HEADER = """---
library_name: transformers
pipeline_tag: text-classification
tags: [multi-label-classification]
---

# Multi-label classifier of texts
"""
LIMITS = """It knows the labels above and no other, and gives several, one or none of them to a text. It has learned
from the texts named here: on others, on other languages and on later ones it may do worse than the figures say. Its
probabilities are as good as the report's calibration shows. It has not been examined for bias against people or
groups."""


def write_model_card(
    folder: Path,
    base: str,
    config: FinetuneConfig,
    labels: Sequence[str],
    thresholds_L: np.ndarray,
    metrics: Mapping[str, float],
    data: Mapping[str, str],
) -> None:
    """Write `README.md`: how to open the classifier, its labels, data with licences, figures on test, and limits."""
    usage = IN_TRANSFORMERS.format(max_length=config.max_length) if config.pooling == "cls" else OURS_ONLY
    if any(config.part_budgets):
        usage = OURS_BY_PARTS
    pairs = zip(labels, thresholds_L, strict=True)
    listed = [[escape_markdown(printable(name)), f"{threshold:.2f}"] for name, threshold in pairs]
    figures = [[name, f"{value:.3f}", DEFINITIONS[name]] for name, value in metrics.items()]
    sections = [
        HEADER,
        f"`{printable(base)}`, fine-tuned in two phases with Stackbert.\n",
        usage,
        "\n## Labels, and the probability from which each is given\n",
        markdown_lines(["label", "threshold"], listed),
        "## Data\n",
        *(f"- {name}: {escape_markdown(printable(value))}" for name, value in data.items()),
        "\n## On the test texts\n",
        markdown_lines(["metric", "value", "definition"], figures),
        "## Limits\n",
        LIMITS,
        "\n## Configuration\n",
        *(f"- {name}: {value}" for name, value in asdict(config).items()),
        "",
    ]
    (folder / "README.md").write_text("\n".join(sections), "utf-8")
