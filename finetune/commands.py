"""The commands 'stackbert finetune VERB'; each imports its module when called, as TensorFlow is slow to import."""

from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from finetune.config import CompareConfig, ExportConfig, FinetunePreflightConfig
from finetune.deploy.config import PredictConfig, ServeConfig
from stackbert.core.errors import require
from stackbert.core.home import PathText


def compare(
    labels: Positional[Path], checkpoints: list[tuple[str, PathText]], config: OmitArgPrefixes[CompareConfig], out: Path
) -> None:
    """Fine-tune checkpoints with the same recipe, data and seeds, and write a comparison with a report.

    Args:
        labels: Labelled set, the output of 'corpora label'.
        checkpoints: Pairs of a name and a checkpoint (folder, hub id or 'minilm'): generic minilm adapted out/adapted.
        out: Output folder.
    """
    from finetune.compare.compare import compare as fine_tune_and_compare

    names = [name for name, _ in checkpoints]
    repeated = sorted({name for name in names if names.count(name) > 1})
    require(not repeated, f"checkpoints: the name {', '.join(repeated)} is used more than once; use distinct names")
    fine_tune_and_compare(labels, dict(checkpoints), out, config)


def preflight(config: OmitArgPrefixes[FinetunePreflightConfig]) -> None:
    """Compile fine-tuning for a TPU slice without the TPU: does it fit in memory, and how fast can it be?"""
    from finetune.measure.preflight import largest_step, preflight

    result = preflight(config)
    print(result, flush=True)
    if config.find_batch:
        found = largest_step(config, result.step)
        texts = found.batch_rows * result.texts_per_row
        print(f"\nlargest batch that fits, {texts:,} texts:\n{found}")


def predict(model: Positional[Path], config: OmitArgPrefixes[PredictConfig], text: Positional[str] = "") -> None:
    """Predict the labels of a text, of a file of texts or of standard input.

    Args:
        model: Fine-tuned classifier, a folder in a comparison's 'models'.
        text: Text to label; '-' reads one text from standard input.
    """
    from finetune.deploy.predict import predict as predict_labels

    for line in predict_labels(model, text, config):
        print(line, flush=True)


def serve(model: Positional[Path], config: OmitArgPrefixes[ServeConfig]) -> None:
    """Start a web server with a page to try a classifier on, and a JSON endpoint at POST /predict.

    Args:
        model: Fine-tuned classifier, a folder in a comparison's 'models'.
    """
    from finetune.deploy.serve import serve as start_server

    start_server(model, config)


def export(model: Positional[Path], config: OmitArgPrefixes[ExportConfig], out: Path) -> None:
    """Export a classifier to ONNX, or the encoder of a classifier or checkpoint to sentence-transformers.

    Args:
        model: Fine-tuned classifier, a folder in a comparison's 'models'; for sentence-transformers also a checkpoint,
            such as the output of 'pretrain run'.
        out: Output folder.
    """
    from finetune.export.export import export as write_for_others

    write_for_others(model, out, config)


def push(model: Positional[Path], repository: Positional[str], private: bool = False) -> None:
    """Upload a fine-tuned classifier or a pretrained checkpoint to the Hugging Face hub.

    Args:
        model: A folder in a comparison's 'models', or the output of 'pretrain run'.
        repository: Hub repository, owner/name; created if it does not exist.
        private: Create a private repository.
    """
    from finetune.deploy.push import push as upload

    print(upload(model, repository, private))


COMMANDS: dict[str, Callable[..., None]] = {
    "finetune compare": compare,
    "finetune preflight": preflight,
    "finetune predict": predict,
    "finetune serve": serve,
    "finetune export": export,
    "finetune push": push,
}
