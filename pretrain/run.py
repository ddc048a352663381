"""Continued masked-language-model pretraining, from base checkpoint to adapted checkpoint."""

from pathlib import Path

from pretrain.config import PretrainConfig
from pretrain.train.replicas import find_replicas
from pretrain.train.trainer import Run
from stackbert.core.artifact import (
    Manifest,
    build_artifact,
    finished_artifact,
    identify,
    load_manifest,
    require_artifact,
)
from stackbert.core.checkpoints import is_random, resolve_base
from stackbert.core.errors import StackbertError
from tokenizer.encoding.packed_rows import identify_tokenizer, tokenizer_of_rows

STAGE = "pretrain run"


def pretrain(rows: Path, tokenizer: Path, out: Path, config: PretrainConfig) -> Manifest:
    """Carry `config.base` over to the vocabulary in `tokenizer`, train it on `rows`, write a Hugging Face checkpoint.

    `rows` must have been encoded with that tokenizer. A run that was stopped goes on from its last saved state, with
    the same result as if it had not been. `out` also holds `history.json` (losses) and `tensorboard/`.

    Several machines that TF_CONFIG names each call this with the same arguments; `rows`, `tokenizer` and `out` are
    on a disk that all see, and the chief alone writes.
    """
    check_tokenizer(rows, tokenizer)
    inputs: dict[str, Path | str] = {"rows": rows, "tokenizer": identify_tokenizer(tokenizer)}
    if not is_random(config.base):
        inputs["base"] = identify(resolve_base(config.base))
    replicas = find_replicas(config.device)
    if replicas.workers > 1:
        finished = finished_artifact(out, STAGE, config.recorded, inputs)
        if finished:
            return finished
    if not replicas.is_chief:
        Run(rows, tokenizer, None, config, replicas).train()
        replicas.wait()  # for the chief, which writes what is read now
        return load_manifest(out)
    manifest = build_artifact(
        out,
        STAGE,
        config.recorded,
        inputs,
        lambda folder: Run(rows, tokenizer, folder, config, replicas).train(),
        resumable=True,
    )
    replicas.wait()
    return manifest


def check_tokenizer(rows: Path, tokenizer: Path) -> None:
    """Raise StackbertError where `rows` were encoded with another tokenizer than the one in `tokenizer`."""
    require_artifact(rows, "tokenizer encode")
    if identify_tokenizer(tokenizer) != tokenizer_of_rows(rows):
        raise StackbertError(
            f"{rows}: was encoded with another tokenizer than the one in {tokenizer}; encode again with it"
        )
