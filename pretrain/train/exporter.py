"""Writes checkpoints of a run, with the record of what they were taught."""

import shutil
from dataclasses import replace
from pathlib import Path

from pretrain.config import OF_TOKENS, PretrainConfig
from pretrain.model.checkpoint import Checkpoint, save_checkpoint
from pretrain.model.encoder import Encoder
from pretrain.model.sentence_encoder import carried_over
from pretrain.model.taught import Taught, load_taught
from stackbert.core.artifact import MANIFEST, load_manifest
from stackbert.core.checkpoints import is_random, resolve_base
from tokenizer.encoding.packed_rows import check_tokenizer


class Exporter:
    """Exports the encoder of a run as it is at the moment."""

    def __init__(
        self, config: PretrainConfig, initial: Checkpoint, encoder: Encoder, rows: Path, tokenizer: Path
    ) -> None:
        self._initial, self._encoder, self._rows, self._tokenizer = initial, encoder, rows, tokenizer
        # other objectives do not train the MLM head: one that is new is not worth exporting
        self._has_mlm_head = initial.has_mlm_head or config.objective in OF_TOKENS
        base = None if is_random(config.base) else resolve_base(config.base)
        before = load_taught(base) if base else Taught()
        self._sentence_encoder, self.notes = carried_over(base) if base else (None, [])
        self.taught = before if config.objective in OF_TOKENS else before.with_rows(rows)
        """By the run and those before it."""

    def export(self, folder: Path) -> None:
        """Write the checkpoint into a folder."""
        check_tokenizer(self._rows, self._tokenizer)  # it may have been changed during the run
        weights = self._encoder.numpy_weights()
        adapted = replace(self._initial, weights=weights, has_mlm_head=self._has_mlm_head)
        save_checkpoint(adapted, self._tokenizer, folder)
        self.taught.save(folder)
        if self._sentence_encoder:
            self._sentence_encoder.save(folder, adapted.architecture.hidden_dim)

    def export_whole(self, folder: Path) -> None:
        """Export so that the folder appears when it is complete; replaces that of an interrupted run."""
        staging = folder.with_suffix(".partial")
        for leftover in (folder, staging):
            shutil.rmtree(leftover, ignore_errors=True)
        staging.mkdir(parents=True)
        self.export(staging)
        staging.rename(folder)


def tokens_before(base: str) -> int:
    """Tokens that earlier phases of pretraining, with manifests, trained the base on."""
    folder = None if is_random(base) else resolve_base(base)
    if not folder or not (folder / MANIFEST).is_file():
        return 0
    counts = load_manifest(folder).counts
    return int(counts.get("total_tokens", counts.get("tokens", 0)))
