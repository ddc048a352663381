"""Writes an encoder as a folder that sentence-transformers opens, and with it SetFit and whatever is built on it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from finetune.config import ExportConfig
from finetune.embed import Embedder, load_embedder
from pretrain.model.checkpoint import save_checkpoint
from pretrain.model.taught import load_taught
from stackbert.core.artifact import Manifest, build_artifact
from stackbert.core.checkpoints import resolve_base
from stackbert.core.errors import StackbertError, require

TOLERANCE = 1e-5
"""Maximum difference between vectors before and after writing."""
SAMPLE = ["How do I join two tables?", "Why is this loop so slow in c++", ""]
CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, feature-extraction]
---

# Encoder of texts

The encoder of `{name}`, written by Stackbert: {encoder}; {max_length} tokens per text at most.
`manifest.json` beside this file holds the hashes of what it was made from.

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer(folder).encode(["How do I join two tables?"])
```
"""


def export_sentence_encoder(model: Path, out: Path, config: ExportConfig) -> Manifest:
    """Write the encoder of a checkpoint or classifier, its tokenizer and its pooling to the folder `out`.

    sentence-transformers then gives the vectors of `finetune.embed.embed` within 1e-4. Raises StackbertError where the
    classifier truncates sections of a text separately, which sentence-transformers cannot.
    """
    embedder = load_embedder(model, config.pooling, config.normalize)
    require(
        not any(embedder.classifier.config.section_budgets),
        f"{model}: truncates title, body and code of a text separately, which sentence-transformers cannot; use "
        "stackbert.embed",
    )
    inputs = {"model": resolve_base(str(model))}
    return build_artifact(
        out, "finetune export", config, inputs, lambda staging: _export(embedder, model.name, staging)
    )


def _export(embedder: Embedder, name: str, staging: Path) -> dict[str, Any]:
    declared, classifier = embedder.declared, embedder.classifier
    checkpoint = replace(classifier.checkpoint, has_mlm_head=False)
    save_checkpoint(checkpoint, embedder.folder, staging)
    declared.save(staging, checkpoint.architecture.hidden_dim)
    load_taught(embedder.folder).save(staging)
    card = CARD.format(name=name, encoder=declared, max_length=declared.max_length)
    (staging / "README.md").write_text(card, "utf-8")
    written_NP, expected_NP = load_embedder(staging).embed(SAMPLE), embedder.embed(SAMPLE)
    difference = float(np.abs(written_NP - expected_NP).max()) if written_NP.shape == expected_NP.shape else np.inf
    if not difference <= TOLERANCE:
        raise StackbertError(f"{staging}: vectors of what was written differ by {difference:.1e}; check the disk")
    print(f"sentence-transformers folder: {declared}, {declared.max_length} tokens per text at most")
    return {"difference": difference, "pooling": declared.pooling, "normalize": declared.normalize}
