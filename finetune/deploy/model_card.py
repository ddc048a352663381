"""The model card of a saved classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

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
    "Its head uses the mean over tokens, which the classification classes of transformers do not support: load the "
    "classifier with `stackbert finetune predict` or `serve`. The encoder alone can be loaded in transformers."
)
OURS_BY_SECTIONS = (
    "It truncates title, body and code of a text separately, which the tokenizers of transformers do not support: "
    "predict with `stackbert finetune predict` or `serve`."
)
HEADER = """---
library_name: transformers
pipeline_tag: text-classification
tags: [multi-label-classification]
---

# Multi-label classifier of texts
"""
LIMITS = """It predicts any number of the labels above, possibly none, and no others. It was trained on the texts named
here; on texts from other sources, in other languages or of later dates, it may perform worse. The calibration of its
probabilities is shown in the comparison's report. It has not been examined for bias against people or groups."""


def write_model_card(
    folder: Path,
    base: str,
    config: FinetuneConfig,
    labels: Sequence[str],
    thresholds_L: npt.NDArray[np.float64],
    metrics: Mapping[str, float],
    data: Mapping[str, str],
    in_transformers: bool,
) -> None:
    """Write README.md: usage, labels, data with licences, test metrics, limits and configuration.

    `in_transformers`: the checkpoint is one of transformers' sequence classification classes.
    """
    usage = IN_TRANSFORMERS.format(max_length=config.max_length) if in_transformers else OURS_ONLY
    if any(config.section_budgets):
        usage = OURS_BY_SECTIONS
    pairs = zip(labels, thresholds_L, strict=True)
    listed = [[escape_markdown(printable(name)), f"{threshold:.2f}"] for name, threshold in pairs]
    table = [[name, f"{value:.3f}", DEFINITIONS[name]] for name, value in metrics.items()]
    sections = [
        HEADER,
        f"`{printable(base)}`, fine-tuned in two phases with Stackbert.\n",
        usage,
        "\n## Labels and thresholds\n",
        markdown_lines(["label", "threshold"], listed),
        "## Data\n",
        *(f"- {name}: {escape_markdown(printable(value))}" for name, value in data.items()),
        "\n## Test metrics\n",
        markdown_lines(["metric", "value", "definition"], table),
        "## Limits\n",
        LIMITS,
        "\n## Configuration\n",
        *(f"- {name}: {value}" for name, value in asdict(config).items()),
        "",
    ]
    (folder / "README.md").write_text("\n".join(sections), "utf-8")
