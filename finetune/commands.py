"""The commands 'stackbert finetune VERB'; what they call is imported when they are, as TensorFlow takes its time."""

from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from finetune.config import CompareConfig, PredictConfig
from stackbert.core.errors import require


def compare(
    labels: Positional[Path], checkpoints: list[tuple[str, str]], config: OmitArgPrefixes[CompareConfig], out: Path
) -> None:
    """Fine-tune checkpoints in two phases over the same data and seeds, and compare them.

    Args:
        labels: Output of 'corpora label'.
        checkpoints: Names and checkpoints in turn: generic minilm adapted out/adapted.
        out: Folder to write.
    """
    from finetune.compare.compare import compare as fine_tune_and_compare

    names = [name for name, _ in checkpoints]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"checkpoints: {', '.join(twice)} names more than one; give each a name of its own")
    fine_tune_and_compare(labels, dict(checkpoints), out, config)


def predict(model: Positional[Path], config: OmitArgPrefixes[PredictConfig], text: Positional[str] = "") -> None:
    """Label a text, a file of texts or what standard input holds.

    Args:
        model: A fine-tuned classifier: a folder in a comparison's 'models'.
        text: The text; '-' reads one from standard input.
    """
    from finetune.deploy.predict import predict as label_texts

    for line in label_texts(model, text, config):
        print(line, flush=True)


def serve(model: Positional[Path], host: str = "127.0.0.1", port: int = 8017) -> None:
    """Open a small page on this machine: type a text, see its labels and tokens; POST /predict answers with JSON.

    Args:
        model: A fine-tuned classifier: a folder in a comparison's 'models'.
        host: Address to listen on; 0.0.0.0 lets others on the network in.
        port: Port to listen on; 0 takes a free one.
    """
    from finetune.deploy.serve import serve as open_page

    open_page(model, host, port)


def export(model: Positional[Path], out: Path) -> None:
    """Write a fine-tuned classifier as an ONNX model, for runtimes without TensorFlow or PyTorch.

    Args:
        model: A fine-tuned classifier: a folder in a comparison's 'models'.
        out: Folder to write.
    """
    from finetune.deploy.export import export_onnx

    export_onnx(model, out)


def push(model: Positional[Path], repository: Positional[str], private: bool = False) -> None:
    """Upload a fine-tuned classifier, or an adapted checkpoint, to the Hugging Face hub.

    Args:
        model: A folder in a comparison's 'models', or the output of 'pretrain run'.
        repository: Its name there: owner/name; made where it is not there yet.
        private: Make it one that others cannot see.
    """
    from finetune.deploy.push import push as upload

    print(upload(model, repository, private))


COMMANDS: dict[str, Callable[..., None]] = {
    "finetune compare": compare,
    "finetune predict": predict,
    "finetune serve": serve,
    "finetune export": export,
    "finetune push": push,
}
