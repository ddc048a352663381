"""Write `references/*.npz`: what PyTorch transformers computes for the tiny checkpoints, and for MiniLM's real weights.

Run where PyTorch is installed: python -m tests.pretrain.make_references [FAMILY ...]; all of them without a family.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from pretrain.model.checkpoint import save_checkpoint
from stackbert.core.checkpoints import resolve_base
from stackbert.core.families.table import FAMILIES
from tests.pretrain.tiny import CONFIGS, padded_batch, tiny_checkpoint

REFERENCES = Path(__file__).parent / "references"
SENTENCES = ("how to connect to mysql from node.js ?", "null pointer")


def torch_outputs(family: str) -> dict[str, np.ndarray]:
    """Hidden states, logits, loss and gradients of a tiny checkpoint exported and loaded by transformers."""
    import torch
    from transformers import AutoModelForMaskedLM

    batch = padded_batch(family)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(tiny_checkpoint(family), Path(folder), Path(folder))
        model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    ids, mask, labels = (torch.tensor(batch[name]).long() for name in ("ids", "mask", "labels"))
    output = model(input_ids=ids, attention_mask=mask, labels=labels, output_hidden_states=True)
    output.loss.backward()
    arrays = {"hidden": output.hidden_states[-1], "logits": output.logits, "loss": output.loss}
    # the table that is tied to the decoder is named by whichever of the two the family's class makes first
    tied = FAMILIES[family].copies
    arrays |= {f"gradient {tied.get(name, name)}": parameter.grad for name, parameter in model.named_parameters()}
    return {name: array.detach().numpy() for name, array in arrays.items() if array is not None}


def torch_minilm() -> dict[str, np.ndarray]:
    """Hidden states of MiniLM's real weights on a padded batch of two sentences."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = resolve_base("minilm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = tokenizer(list(SENTENCES), padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder)(**encoded).last_hidden_state
    return {
        "ids": encoded["input_ids"].numpy().astype(np.int32),
        "mask": encoded["attention_mask"].numpy().astype(np.int32),
        "hidden": hidden.numpy(),
    }


def main(families: list[str]) -> None:
    REFERENCES.mkdir(exist_ok=True)
    for family in families or (*CONFIGS, "minilm"):
        arrays = torch_minilm() if family == "minilm" else torch_outputs(family)
        np.savez_compressed(REFERENCES / f"{family}.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
