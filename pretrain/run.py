"""Continued masked-language-model pretraining: base checkpoint and packed rows in, adapted checkpoint out."""

from pathlib import Path

from pretrain.config import PretrainConfig
from pretrain.train.replicas import find_replicas
from pretrain.train.trainer import Trainer
from stackbert.core.artifact import (
    Manifest,
    build_artifact,
    finished_artifact,
    identify,
    load_manifest,
)
from stackbert.core.checkpoints import is_random, resolve_base
from stackbert.core.place import require_folder_place
from tokenizer.encoding.packed_rows import check_tokenizer, identify_tokenizer

STAGE = "pretrain run"


def run_pretraining(rows: Path, tokenizer: Path, out: Path, config: PretrainConfig) -> Manifest:
    """Train `config.base`, with the vocabulary of `tokenizer`, on `rows`; write a Hugging Face checkpoint to `out`.

    `rows` must have been encoded with that tokenizer. A stopped run resumes from its last saved state, with the same
    result as an uninterrupted one. `out` also holds `history.json` (validation losses) and `tensorboard/`.

    On several machines that TF_CONFIG names, each calls this with the same arguments. `rows`, `tokenizer` and `out` are
    then on a shared disk, and only the chief writes.
    """
    check_tokenizer(rows, tokenizer)
    inputs: dict[str, Path | str] = {"rows": rows, "tokenizer": identify_tokenizer(tokenizer)}
    base = None if is_random(config.base) else resolve_base(config.base)
    require_folder_place(out, rows, *([base] if base else []))
    if base:
        inputs["base"] = identify(base)
    if config.probe_labels:
        inputs["probe_labels"] = Path(config.probe_labels)
    replicas = find_replicas(config.device)
    if replicas.workers > 1:
        finished = finished_artifact(out, STAGE, config.recorded, inputs)
        if finished:
            return finished
    if not replicas.is_chief:
        Trainer(rows, tokenizer, None, config, replicas).train()
        replicas.wait()  # until the chief has written the manifest
        return load_manifest(out)
    manifest = build_artifact(
        out,
        STAGE,
        config.recorded,
        inputs,
        lambda folder: Trainer(rows, tokenizer, folder, config, replicas).train(),
        resumable=True,
    )
    replicas.wait()
    return manifest
