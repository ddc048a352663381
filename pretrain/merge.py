"""Weight interpolation between a base and its adapted checkpoint."""

from dataclasses import fields, replace
from pathlib import Path

from pretrain.config import FROM_ROWS, MergeConfig
from pretrain.init.transfer import transfer_vocabulary
from pretrain.model.card import write_merged_card
from pretrain.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, with_positions
from pretrain.model.sentence_encoder import carried_over
from pretrain.model.stored_tensors import CheckpointError
from pretrain.model.taught import load_taught
from pretrain.run import STAGE as RUN_STAGE
from stackbert.core.artifact import MANIFEST, Manifest, build_artifact, identify, load_manifest, require_artifact
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import load_reader

STAGE = "pretrain merge"


def merge_checkpoints(base: Path, adapted: Path, out: Path, config: MergeConfig) -> Manifest:
    """Write (1 - `config.share`) x `base` + `config.share` x `adapted` to the folder `out`.

    The result retains more of what the base was trained for than `adapted` does (WiSE-FT: Wortsman et al. 2022, arXiv
    2109.01903). A base with another vocabulary is first transferred to that of `adapted`, as at step 0 of its run. The
    MLM head is that of `adapted` where the base has none.

    Raises CheckpointError where the two differ in architecture, StackbertError where `adapted` has another vocabulary
    and was not trained from `base`.
    """
    return build_artifact(
        out,
        STAGE,
        config,
        {"base": base, "adapted": adapted},
        lambda folder: _merge(base, adapted, folder, config.share),
    )


def _merge(base: Path, adapted: Path, folder: Path, share: float) -> dict[str, int]:
    start, end = _transferred(base, adapted), load_checkpoint(adapted)
    if end.architecture.max_length > start.architecture.max_length:
        start = with_positions(start, end.architecture.max_length)
    ours, theirs = start.architecture, end.architecture
    differing = [each.name for each in fields(ours) if getattr(ours, each.name) != getattr(theirs, each.name)]
    if differing:
        raise CheckpointError(
            f"{adapted}: differs from {base} in {', '.join(differing)}; merge a checkpoint with its own base"
        )
    weights = {
        name: array
        if name.startswith("mlm/") and not start.has_mlm_head
        else (1 - share) * start.weights[name] + share * array
        for name, array in end.weights.items()
    }
    save_checkpoint(replace(end, weights=weights), adapted, folder)
    load_taught(adapted).save(folder)
    sentence_encoder, notes = carried_over(adapted)
    if sentence_encoder:
        sentence_encoder.save(folder, ours.hidden_dim)
    write_merged_card(folder, base, adapted, share)
    for note in (*start.notes, *notes):
        print(f"{base}: {note}")
    print(f"merged {1 - share:g} x {base} + {share:g} x {adapted}")
    return {"weights": sum(array.size for array in weights.values())} | _tokens(adapted)


def _transferred(base: Path, adapted: Path) -> Checkpoint:
    """The base with the vocabulary of `adapted`, as at step 0 of its run."""
    checkpoint, old, new = load_checkpoint(base), load_reader(base), load_reader(adapted)
    if (old.tokens(), old.special_ids) == (new.tokens(), new.special_ids):
        return checkpoint
    run = require_artifact(adapted, RUN_STAGE)
    if run.inputs.get("base") != identify(base):
        raise StackbertError(
            f"{adapted}: has another vocabulary than {base}, and was not trained from it; pass its own base"
        )
    transfer = run.config["transfer"]
    if transfer in FROM_ROWS:
        raise StackbertError(
            f"{adapted}: was trained with transfer {transfer}, whose initial checkpoint cannot be built without its "
            "rows; merge a checkpoint trained with transfer mean"
        )
    return transfer_vocabulary(checkpoint, old, new, transfer, run.config["seed"])[0]


def _tokens(adapted: Path) -> dict[str, int]:
    """The number of tokens that `adapted` was trained on, where its manifest has it."""
    counts = load_manifest(adapted).counts if (adapted / MANIFEST).is_file() else {}
    return {name: counts[name] for name in ("tokens", "total_tokens") if name in counts}
