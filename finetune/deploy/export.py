"""A kept classifier as an ONNX model, for runtimes without TensorFlow or PyTorch."""

# B texts, T tokens, H hidden, P pooled, L labels

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from finetune.deploy.bundle import SETTINGS_FILE, Bundle, load_bundle
from stackbert.core.artifact import Manifest, build_artifact
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import TOKENIZER_FILES

MODEL_FILE = "model.onnx"
TOLERANCE = 1e-4
"""Largest difference of a probability from ours that is let through."""
SAMPLE = ["How do I join two tables?", "Why is this loop so slow in c++", ""]


def export_onnx(model: Path, out: Path) -> Manifest:
    """Write MODEL_FILE with the tokenizer and SETTINGS_FILE (labels, thresholds) beside it into the folder `out`.

    Inputs `input_ids` and `attention_mask`, (B, T) int64, T at most the recipe's max_length, special tokens
    included; output `probabilities`, (B, L) float32. Before it is shown, the file is run on some texts and
    compared with ours. Raises StackbertError where a package is missing or the probabilities differ.
    """
    bundle = load_bundle(model)
    return build_artifact(out, "finetune export", {}, {"model": model}, lambda staging: _export(bundle, model, staging))


def _export(bundle: Bundle, model: Path, staging: Path) -> dict[str, Any]:
    try:
        import onnx  # noqa: F401 - PyTorch writes with both
        import onnxruntime
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise StackbertError(f"exporting needs the package {error.name}: pip install 'stackbert[onnx]'") from None
    ids, mask = _padded(bundle)
    names = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=bundle.classifier.config.max_length)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that are of no use here
    with warnings.catch_warnings(action="ignore"):  # PyTorch's of its own parts
        torch.onnx.export(
            _torch_module(bundle, model).train(False),
            kwargs=names,
            f=str(staging / MODEL_FILE),
            input_names=list(names),
            output_names=["probabilities"],
            dynamic_shapes=dict.fromkeys(names, sizes),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(staging / MODEL_FILE, providers=["CPUExecutionProvider"])
    (found_BL,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    expected_BL = bundle.classifier.probabilities(bundle.classifier.sequences(SAMPLE))
    difference = float(np.abs(found_BL - expected_BL).max())
    if difference > TOLERANCE:
        raise StackbertError(f"{model}: the exported model's probabilities differ from ours by {difference:.1e}")
    for name in (SETTINGS_FILE, *TOKENIZER_FILES):
        if (model / name).is_file():
            shutil.copyfile(model / name, staging / name)
    print(f"{MODEL_FILE}: probabilities differ from ours by {difference:.1e} at most, over {len(SAMPLE)} texts")
    return {"difference": difference, "labels": len(bundle.labels)}


def _padded(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """SAMPLE's ids and attention mask, (B, T) int64."""
    sequences = bundle.classifier.sequences(SAMPLE)
    ids_BT = np.full((len(sequences), max(map(len, sequences))), bundle.classifier.reader.padding_id, np.int64)
    mask_BT = np.zeros_like(ids_BT)
    for row, sequence in enumerate(sequences):
        ids_BT[row, : len(sequence)] = sequence
        mask_BT[row, : len(sequence)] = 1
    return ids_BT, mask_BT


def _torch_module(bundle: Bundle, model: Path) -> Any:
    """The whole classifier in PyTorch: transformers' encoder, our pooling and head."""
    import torch
    from transformers import AutoModel

    head, pooling = bundle.classifier.head, bundle.classifier.config.pooling
    is_distilbert = bundle.classifier.checkpoint.architecture.family == "distilbert"
    weights = {name: torch.from_numpy(array) for name, array in head.numpy_weights().items()}
    activation = torch.relu if is_distilbert else torch.tanh
    pooler = {} if is_distilbert else {"add_pooling_layer": False}
    encoder = AutoModel.from_pretrained(model, **pooler)

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids, attention_mask):
            hidden_BTH = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
            found = []
            if "cls" in pooling:
                found.append(hidden_BTH[:, 0])
            if "mean" in pooling:
                shares_BT1 = (attention_mask / attention_mask.sum(1, keepdim=True))[:, :, None]
                found.append((hidden_BTH * shares_BT1).sum(1))
            x = torch.cat(found, 1)
            if head.hidden_dim:
                x = activation(x @ weights["hidden/kernel"] + weights["hidden/bias"])
            return torch.sigmoid(x @ weights["kernel"] + weights["bias"])

    return Exported()
