"""What PyTorch computes for contrastive learning on a tiny batch of pairs: losses and gradients, stored as references.

Run where PyTorch is installed: python -m tests.pretrain.objectives.pair_references
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.model.architecture import hugging_face_names
from pretrain.model.checkpoint import save_checkpoint
from tests.pretrain.make_references import REFERENCES
from tests.pretrain.tiny import tiny_checkpoint

REFERENCE = REFERENCES / "pairs.npz"
POOLINGS = ("mean", "cls", "cls+mean")
TEMPERATURE = 0.5
"""The tiny checkpoint's vectors are nearly alike: less would leave a loss of 0 or of all."""

IDS = [
    [2, 9, 11, 3, 2, 12, 3, 2, 40, 3, 2, 30, 31, 3, 0],
    [2, 8, 8, 8, 7, 3, 2, 21, 22, 23, 3, 0, 0, 0, 0],
    [2, 15, 3, 2, 17, 18, 3, 0, 0, 0, 0, 0, 0, 0, 0],
    [2, 25, 26, 3, 2, 27, 3, 0, 0, 0, 0, 0, 0, 0, 0],
]
SEGMENTS = (np.cumsum(np.array(IDS) == 2, axis=1) * (np.array(IDS) != 0)).astype(np.int32).tolist()


def torch_outputs() -> dict[str, np.ndarray]:
    """'POOLING loss' and 'POOLING WEIGHT' -> the loss and its gradients, of texts that are read one by one."""
    from transformers import AutoModel

    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(tiny_checkpoint("bert"), Path(folder), Path(folder))
        for pooling in POOLINGS:
            model = AutoModel.from_pretrained(folder, add_pooling_layer=False)
            loss = _loss(model, pooling)
            loss.backward()
            found[f"{pooling} loss"] = loss.detach().numpy()
            found |= {f"{pooling} {name}": array for name, array in _gradients(model).items()}
    return found


def _loss(model: Any, pooling: str) -> Any:
    import torch
    from torch.nn.functional import cross_entropy, normalize

    vectors = []
    for ids, segments in zip(np.array(IDS), np.array(SEGMENTS), strict=True):
        for number in range(1, segments.max() + 1):
            states = model(input_ids=torch.tensor(ids[segments == number][None])).last_hidden_state[0]
            pooled = {"cls": states[0], "mean": states.mean(0)}
            vectors.append(torch.cat([pooled[name] for name in pooling.split("+")]))
    unit = normalize(torch.stack(vectors), dim=-1)
    logits = unit[::2] @ unit[1::2].T / TEMPERATURE
    partners = torch.arange(len(logits))
    return (cross_entropy(logits, partners, reduction="sum") + cross_entropy(logits.T, partners, reduction="sum")) / 2


def _gradients(model: Any) -> dict[str, np.ndarray]:
    """By our names, in our layout."""
    own = {f"bert.{name}": parameter.grad.numpy() for name, parameter in model.named_parameters()}
    found = {}
    for name, theirs in hugging_face_names(tiny_checkpoint("bert").architecture).items():
        if not name.startswith("mlm/"):
            parts = [own[key].T if name.endswith("/kernel") else own[key] for key in theirs]
            found[name] = np.concatenate(parts, axis=-1)
    return found


def main() -> None:
    np.savez_compressed(REFERENCE, **torch_outputs())


if __name__ == "__main__":
    main()
