"""A checkpoint between a base and what pretraining made of it."""

from dataclasses import fields, replace
from pathlib import Path

from pretrain.config import MergeConfig
from pretrain.init.transfer import transfer_vocabulary
from pretrain.model.card import write_merged_card
from pretrain.model.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint, with_positions
from pretrain.run import STAGE as RUN_STAGE
from stackbert.core.artifact import MANIFEST, Manifest, build_artifact, identify, load_manifest, require_artifact
from stackbert.core.errors import StackbertError
from tokenizer.encoding.reader import load_reader

STAGE = "pretrain merge"


def merge_checkpoints(base: Path, adapted: Path, out: Path, config: MergeConfig) -> Manifest:
    """Write the checkpoint whose weights lie `config.share` of the way from `base` to `adapted` into the folder `out`.

    It keeps more of what the base was trained for than `adapted` does, and has more of the new text than the base
    (WiSE-FT: Wortsman et al. 2022, arXiv 2109.01903). A base with another vocabulary is carried over first, as the run
    that made `adapted` began. An MLM head that the base lacks is `adapted`'s.

    Raises CheckpointError where the two differ in shape, StackbertError where `adapted` has another vocabulary and did
    not begin from `base`.
    """
    return build_artifact(
        out,
        STAGE,
        config,
        {"base": base, "adapted": adapted},
        lambda folder: _merge(base, adapted, folder, config.share),
    )


def _merge(base: Path, adapted: Path, folder: Path, share: float) -> dict[str, int]:
    start, end = _carried_over(base, adapted), load_checkpoint(adapted)
    if end.architecture.max_length > start.architecture.max_length:
        start = with_positions(start, end.architecture.max_length)
    ours, theirs = start.architecture, end.architecture
    differing = [each.name for each in fields(ours) if getattr(ours, each.name) != getattr(theirs, each.name)]
    if differing:
        raise CheckpointError(
            f"{adapted}: differs from {base} in {', '.join(differing)}; only a base and what it became can be merged"
        )
    weights = {
        name: array
        if name.startswith("mlm/") and not start.has_mlm_head
        else (1 - share) * start.weights[name] + share * array
        for name, array in end.weights.items()
    }
    save_checkpoint(replace(end, weights=weights), adapted, folder)
    write_merged_card(folder, base, adapted, share)
    print(f"{share:g} of the way from {base} to {adapted}")
    return {"weights": sum(array.size for array in weights.values())} | _tokens(adapted)


def _carried_over(base: Path, adapted: Path) -> Checkpoint:
    """The base with the vocabulary of `adapted`, as the run that made it had it at step 0."""
    checkpoint, old, new = load_checkpoint(base), load_reader(base), load_reader(adapted)
    if old.tokens() == new.tokens():
        return checkpoint
    run = require_artifact(adapted, RUN_STAGE)
    if run.inputs.get("base") != identify(base):
        raise StackbertError(f"{adapted}: has another vocabulary than {base}, and did not begin from it; name its base")
    if run.config["transfer"] == "similar":
        raise StackbertError(
            f"{adapted}: its new tokens began from ones used alike in its rows (transfer similar), which are not at "
            "hand; merge a checkpoint made with transfer mean"
        )
    return transfer_vocabulary(checkpoint, old, new, run.config["transfer"], run.config["seed"])[0]


def _tokens(adapted: Path) -> dict[str, int]:
    """The tokens that `adapted` was trained on, where it says."""
    counts = load_manifest(adapted).counts if (adapted / MANIFEST).is_file() else {}
    return {"tokens": counts["tokens"]} if "tokens" in counts else {}
