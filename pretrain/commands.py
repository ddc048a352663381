"""The commands 'stackbert pretrain VERB'. Each imports what it calls, since TensorFlow takes seconds to load."""

from collections.abc import Callable
from pathlib import Path

from tyro.conf import OmitArgPrefixes, Positional

from pretrain.config import MergeConfig, PretrainConfig
from pretrain.measure.config import BenchConfig, FindRateConfig, PreflightConfig, PretrainPlanConfig
from stackbert.core.checkpoints import resolve_base
from stackbert.core.home import PathText


def run(
    rows: Positional[Path], tokenizer: Positional[PathText], config: OmitArgPrefixes[PretrainConfig], out: Path
) -> None:
    """Continue masked-language-model pretraining of a base checkpoint on packed rows.

    Writes a Hugging Face checkpoint with validation losses (history.json) and TensorBoard logs. A stopped run resumes
    when the same command is run again.

    Args:
        rows: Packed rows, the output of 'tokenizer encode'.
        tokenizer: Tokenizer that encoded the rows: 'minilm', a folder or a Hugging Face hub id.
        out: Output folder.
    """
    from pretrain.run import run_pretraining

    run_pretraining(rows, resolve_base(tokenizer), out, config)


def compare_starts(
    rows: Positional[Path], tokenizer: Positional[PathText], config: OmitArgPrefixes[PretrainConfig]
) -> None:
    """Compare the initialisations of a new vocabulary by their validation loss before training.

    Prints loss, accuracy and bits per byte at step 0 for each value of --transfer, and the distance of text vectors
    from the base's.

    Args:
        rows: Packed rows, the output of 'tokenizer encode'.
        tokenizer: Tokenizer that encoded the rows: 'minilm', a folder or a Hugging Face hub id.
    """
    from pretrain.measure.compare_starts import compare_starts, format_comparison

    print(format_comparison(list(compare_starts(rows, resolve_base(tokenizer), config))))


def find_rate(
    rows: Positional[Path],
    tokenizer: Positional[PathText],
    config: OmitArgPrefixes[PretrainConfig],
    test: OmitArgPrefixes[FindRateConfig],
    out: Path | None = None,
) -> None:
    """Suggest a learning rate for a run: train some steps with a rising rate, and print the curve of the loss.

    Takes the settings of the run. Those of its length, rate, schedule, validation and states have no effect, but for
    --steps: the number of steps of the test, 100 if not set.

    Args:
        rows: Packed rows, the output of 'tokenizer encode'.
        tokenizer: Tokenizer that encoded the rows: 'minilm', a folder or a Hugging Face hub id.
        out: JSON file for the curve and what it was made from; without it, nothing is written.
    """
    from pretrain.measure.find_rate import find_rate

    print(find_rate(rows, resolve_base(tokenizer), config, test, out))


def curves(runs: dict[str, Path], out: Path) -> None:
    """Plot the learning curves of finished runs: validation bits per byte against tokens read.

    Args:
        runs: Name and output folder of each run, such as: mean out/mean random out/random.
        out: SVG file to write.
    """
    from pretrain.measure.curves import draw_runs

    print(draw_runs(runs, out))


def merge(
    base: Positional[PathText], adapted: Positional[Path], config: OmitArgPrefixes[MergeConfig], out: Path
) -> None:
    """Interpolate the weights of a base and its adapted checkpoint, to retain more of the base's abilities (WiSE-FT).

    Args:
        base: Checkpoint that the pretraining was initialised from: 'minilm', a folder or a Hugging Face hub id.
        adapted: Output of 'pretrain run'.
        out: Output folder.
    """
    from pretrain.merge import merge_checkpoints

    merge_checkpoints(resolve_base(base), adapted, out, config)


def convert(base: Positional[PathText], out: Path) -> None:
    """Convert a checkpoint that has only pytorch_model.bin, such as SciBERT, to safetensors.

    Args:
        base: Folder or Hugging Face hub id of the checkpoint.
        out: Output folder.
    """
    from pretrain.convert import convert_checkpoint

    convert_checkpoint(base, out)


def bench(config: OmitArgPrefixes[BenchConfig], rows: Path | None = None) -> None:
    """Measure the speed of a model's training step, and compare it with this machine's fastest matrix products.

    Args:
        rows: Packed rows, the output of 'tokenizer encode'; without it, random rows without padding.
    """
    from pretrain.measure.bench import run_bench

    print(run_bench(config, rows))


def plan(
    rows: Positional[Path],
    tokenizer: Positional[PathText],
    config: OmitArgPrefixes[PretrainConfig],
    plan: OmitArgPrefixes[PretrainPlanConfig],
) -> None:
    """Estimate tokens, steps, hours, disk, memory and cost of a run, on this machine and on TPU slices.

    Args:
        rows: Packed rows, the output of 'tokenizer encode', of the whole text or of a sample.
        tokenizer: Tokenizer that encoded the rows: 'minilm', a folder or a Hugging Face hub id.
    """
    from pretrain.measure.plan import plan_pretraining

    print(plan_pretraining(rows, resolve_base(tokenizer), config, plan))


def preflight(config: OmitArgPrefixes[PreflightConfig]) -> None:
    """Compile the training step for a TPU slice without the TPU: does it fit in memory, and how fast can it be?"""
    from pretrain.measure.preflight import largest_batch, preflight

    result = preflight(config)
    print(result, flush=True)
    if config.find_batch:
        print(f"\nlargest batch that fits:\n{largest_batch(config, result)}")


COMMANDS: dict[str, Callable[..., None]] = {
    "pretrain run": run,
    "pretrain compare-starts": compare_starts,
    "pretrain find-rate": find_rate,
    "pretrain curves": curves,
    "pretrain merge": merge,
    "pretrain convert": convert,
    "pretrain bench": bench,
    "pretrain plan": plan,
    "pretrain preflight": preflight,
}
