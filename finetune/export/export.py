"""Exports a classifier to ONNX, or an encoder to a sentence-transformers folder."""

from pathlib import Path

from finetune.config import ExportConfig
from finetune.export.onnx_model import export_onnx
from finetune.export.sentence_folder import export_sentence_encoder
from stackbert.core.artifact import Manifest

STAGE = "finetune export"


def export(model: Path, out: Path, config: ExportConfig) -> Manifest:
    """Write `model` to the folder `out` in `config.format`; what was written is read back and compared."""
    write = {"onnx": export_onnx, "sentence-transformers": export_sentence_encoder}[config.format]
    return write(model, out, config)
