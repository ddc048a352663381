"""The commands 'stackbert pretrain VERB'; what they call is imported when they are, as TensorFlow takes its time."""

from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from pretrain.config import BenchConfig, MergeConfig, PreflightConfig, PretrainConfig, PretrainPlanConfig
from stackbert.core.checkpoints import resolve_base


def run(rows: Positional[Path], tokenizer: Positional[str], config: OmitArgPrefixes[PretrainConfig], out: Path) -> None:
    """Continue masked-language-model pretraining of a base on packed rows; goes on where a stopped run was.

    Args:
        rows: Output of 'tokenizer encode'.
        tokenizer: The tokenizer that the rows were encoded with.
        out: Folder to write.
    """
    from pretrain.run import pretrain

    pretrain(rows, resolve_base(tokenizer), out, config)


def compare_starts(rows: Positional[Path], tokenizer: Positional[str], config: OmitArgPrefixes[PretrainConfig]) -> None:
    """Print the held-out loss at step 0, and its bits a byte, of each way to carry a base over to a vocabulary.

    Args:
        rows: Output of 'tokenizer encode'.
        tokenizer: The tokenizer that the rows were encoded with.
    """
    from pretrain.measure.compare_starts import measure_starts, starts_table

    starts = list(measure_starts(rows, resolve_base(tokenizer), config))
    print("\n".join(dict.fromkeys(note for start in starts for note in start.notes)), starts_table(starts), sep="\n\n")


def curves(runs: dict[str, Path], out: Path) -> None:
    """Draw the held-out bits a byte of finished runs against the tokens they have read.

    Args:
        runs: Names and outputs of 'pretrain run' in turn: mean out/mean random out/random.
        out: SVG file to write.
    """
    from pretrain.train.curves import draw_runs

    print(draw_runs(runs, out))


def merge(base: Positional[str], adapted: Positional[Path], config: OmitArgPrefixes[MergeConfig], out: Path) -> None:
    """Make a checkpoint between a base and what pretraining made of it; keeps more of what the base was trained for.

    Args:
        base: Checkpoint that the pretraining began from: 'minilm', a folder or a hub id.
        adapted: Output of 'pretrain run'.
        out: Folder to write.
    """
    from pretrain.merge import merge_checkpoints

    merge_checkpoints(resolve_base(base), adapted, out, config)


def convert(base: Positional[str], out: Path) -> None:
    """Make a checkpoint of safetensors from one that has pytorch_model.bin alone, as SciBERT's.

    Args:
        base: Folder or hub id of the checkpoint.
        out: Folder to write.
    """
    from pretrain.convert import convert_checkpoint

    convert_checkpoint(base, out)


def bench(config: OmitArgPrefixes[BenchConfig], rows: Path | None = None) -> None:
    """Time the training step of a model here, beside the machine's own matrix products.

    Args:
        rows: Output of 'tokenizer encode' to read; without it, made-up rows without padding.
    """
    from pretrain.measure.bench import run_bench

    print(run_bench(config, rows))


def plan(
    rows: Positional[Path],
    tokenizer: Positional[str],
    config: OmitArgPrefixes[PretrainConfig],
    plan: OmitArgPrefixes[PretrainPlanConfig],
) -> None:
    """Say what a run will take: tokens, steps, hours, disk, memory and money, here and on TPU slices.

    Args:
        rows: Output of 'tokenizer encode', of all the text or of a sample of it.
        tokenizer: The tokenizer that the rows were encoded with.
    """
    from pretrain.measure.plan import plan_pretraining

    print(plan_pretraining(rows, resolve_base(tokenizer), config, plan))


def preflight(config: OmitArgPrefixes[PreflightConfig]) -> None:
    """Compile the training step for a TPU slice that is not here: whether it fits, and how fast it can be at best."""
    from pretrain.measure.preflight import largest_batch, preflight

    result = preflight(config)
    print(result, flush=True)
    if config.find_batch:
        print(f"\nlargest batch that fits:\n{largest_batch(config, result)}")


COMMANDS: dict[str, Callable[..., None]] = {
    "pretrain run": run,
    "pretrain compare-starts": compare_starts,
    "pretrain curves": curves,
    "pretrain merge": merge,
    "pretrain convert": convert,
    "pretrain bench": bench,
    "pretrain plan": plan,
    "pretrain preflight": preflight,
}
