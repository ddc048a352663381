"""Exports a classifier to ONNX, for runtimes without TensorFlow or PyTorch."""

# B texts, T tokens, H hidden, P pooled, L labels

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finetune.deploy.bundle import SETTINGS_FILE, Bundle, load_bundle
from stackbert.core.artifact import Manifest, build_artifact
from stackbert.core.errors import StackbertError
from tokenizer.files.tokenizer_files import write_tokenizer

MODEL_FILE = "model.onnx"
TOLERANCE = 1e-4
"""Maximum difference between the exported model's probabilities and ours."""
SAMPLE = ["How do I join two tables?", "Why is this loop so slow in c++", ""]


def export_onnx(model: Path, out: Path) -> Manifest:
    """Write MODEL_FILE, the tokenizer and SETTINGS_FILE (labels, thresholds) to the folder `out`.

    Inputs are `input_ids` and `attention_mask`, (B, T) int64, with T at most the recipe's max_length including special
    tokens; the output is `probabilities`, (B, L) float32. The exported model is verified on a few texts. Raises
    StackbertError if a package is missing or the probabilities differ by more than TOLERANCE.
    """
    bundle = load_bundle(model)
    return build_artifact(out, "finetune export", {}, {"model": model}, lambda staging: _export(bundle, model, staging))


def _export(bundle: Bundle, model: Path, staging: Path) -> dict[str, Any]:
    try:
        import onnx  # noqa: F401 - used by torch.onnx
        import onnxruntime
        import onnxscript  # noqa: F401
        import torch
    except ImportError as error:
        raise StackbertError(f"exporting needs the package {error.name}: pip install 'stackbert[onnx]'") from None
    ids, mask = _padded(bundle)
    names = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=bundle.classifier.config.max_length)}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns about packages that are not needed
    with warnings.catch_warnings(action="ignore"):  # deprecations within PyTorch
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
        raise StackbertError(
            f"{model}: the exported model's probabilities differ from TensorFlow's by {difference:.1e}, "
            f"more than {TOLERANCE:.0e}"
        )
    shutil.copyfile(model / SETTINGS_FILE, staging / SETTINGS_FILE)
    write_tokenizer(model, staging)
    print(f"{MODEL_FILE}: probabilities differ from TensorFlow's by at most {difference:.1e} on {len(SAMPLE)} texts")
    return {"difference": difference, "labels": len(bundle.labels)}


def _padded(bundle: Bundle) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Padded ids and attention mask of SAMPLE, (B, T)."""
    sequences = bundle.classifier.sequences(SAMPLE)
    ids_BT = np.full((len(sequences), max(map(len, sequences))), bundle.classifier.reader.padding_id, np.int64)
    mask_BT = np.zeros_like(ids_BT)
    for row, sequence in enumerate(sequences):
        ids_BT[row, : len(sequence)] = sequence
        mask_BT[row, : len(sequence)] = 1
    return ids_BT, mask_BT


def _torch_module(bundle: Bundle, model: Path) -> Any:
    """The classifier in PyTorch: transformers' encoder, our pooling and head."""
    import torch
    from transformers import AutoModel

    head, pooling = bundle.classifier.head, bundle.classifier.config.pooling
    names = bundle.classifier.checkpoint.architecture.family.classifier
    weights = {name: torch.from_numpy(array) for name, array in head.numpy_weights().items()}
    activation = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}[names.activation]
    pooler = {"add_pooling_layer": False} if names.base_has_pooler else {}
    encoder = AutoModel.from_pretrained(model, **pooler)

    class Exported(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden_BTH = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
            pooled = []
            if "cls" in pooling:
                pooled.append(hidden_BTH[:, 0])
            if "mean" in pooling:
                shares_BT1 = (attention_mask / attention_mask.sum(1, keepdim=True))[:, :, None]
                pooled.append((hidden_BTH * shares_BT1).sum(1))
            x = torch.cat(pooled, 1)
            if head.hidden_dim:
                x = activation(x @ weights["hidden/kernel"] + weights["hidden/bias"])
            return torch.sigmoid(x @ weights["kernel"] + weights["bias"])

    return Exported()
