"""What PyTorch computes for causal language modelling on a padded batch: losses and gradients, stored as references.

Run where PyTorch is installed: python -m tests.pretrain.objectives.causal_references
"""

import tempfile
from pathlib import Path

import numpy as np

from pretrain.model.checkpoint import save_checkpoint
from stackbert.core.families.table import FAMILIES
from tests.pretrain.make_references import REFERENCES
from tests.pretrain.tiny import CONFIGS, padded_batch, tiny_checkpoint

REFERENCE = REFERENCES / "causal.npz"
STORED = ("bert", "modernbert")
"""Families of the file: the two kinds of layers."""


def torch_outputs(family: str) -> dict[str, np.ndarray]:
    """'FAMILY loss' and 'FAMILY gradient WEIGHT', under Hugging Face names, of the texts of the padded batch.

    The masks that transformers would make are replaced by causal ones.
    """
    import torch
    from transformers import AutoModelForMaskedLM

    batch = padded_batch(family)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(tiny_checkpoint(family), Path(folder), Path(folder))
        model = AutoModelForMaskedLM.from_pretrained(folder, attn_implementation="eager")
    ids, mask = (torch.tensor(batch[name]).long() for name in ("ids", "mask"))
    index = torch.arange(ids.shape[1])
    seen = (index[:, None] >= index)[None] & (mask[:, None, :] == 1)
    added = torch.where(seen, 0.0, -1e9)[:, None]
    given = added
    if family == "modernbert":
        window = CONFIGS[family]["local_attention"] // 2
        near = (index[:, None] - index).abs() <= window
        given = {"full_attention": added, "sliding_attention": torch.where(near, added, -1e9)}
    logits = model(input_ids=ids, attention_mask=given).logits[:, :-1]
    following = torch.where(mask[:, 1:] == 1, ids[:, 1:], -100)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="sum")
    loss.backward()
    tied = FAMILIES[family].copies
    found = {f"{family} loss": loss.detach().numpy()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[f"{family} gradient {tied.get(name, name)}"] = parameter.grad.numpy()
    return found


def main() -> None:
    np.savez_compressed(
        REFERENCE, **{name: array for family in STORED for name, array in torch_outputs(family).items()}
    )


if __name__ == "__main__":
    main()
