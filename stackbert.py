"""The command line: parses, calls the rooms, nothing else."""

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes, Positional

from corpora.config import CorpusConfig, LabelConfig, PlanConfig
from corpora.errors import StackbertError
from finetune.commands import COMMANDS as FINETUNE_COMMANDS
from finetune.study import Study, load_study, run_study
from pretrain.allocator import keep_freed_memory
from pretrain.commands import COMMANDS as PRETRAIN_COMMANDS
from tokenizer.config import EncodeConfig, ReadBenchConfig, ReportConfig, TokenizerConfig

HELP = """usage: stackbert ROOM VERB [options], or stackbert run [STUDY.toml] [options]

Adapts a small BERT encoder to technical text, and says honestly whether that paid.

  run [STUDY.toml]     the whole chain, from text to comparison; studies/demo.toml if no file is named
  doctor               versions, devices, disk, memory, and the whole chain once in small
  corpora build        a dump, a table, a folder or the installed packages' documentation -> clean posts
  corpora label        posts -> a leak-free labelled set, and the text left for pretraining
  corpora plan         a dump -> hours, disk and memory on 1, 16 and 256 cores, by building a sample of it
  corpora audit        posts + a labelled set -> what the posts give away of its test and dev texts
  corpora attribution  posts -> a list of their authors, addresses and licences
  corpora datasheet    posts -> what they are: counts, lengths, code, tags, years, licences, drops
  tokenizer train      posts -> a code-aware WordPiece vocabulary
  tokenizer report     tokenizers side by side on one text: page, Markdown, JSON
  tokenizer encode     posts + a tokenizer -> packed rows of token ids
  tokenizer bench      how fast posts are read, in pairs with transformers' tokenizer
  pretrain run         a base checkpoint + rows -> an adapted checkpoint
  pretrain transfer    the held-out loss at step 0 of each start for a new vocabulary
  pretrain curves      runs -> their held-out bits a byte against tokens read, as a picture
  pretrain merge       a base and its adapted checkpoint -> one between the two
  pretrain convert     a checkpoint with pytorch_model.bin alone -> one of safetensors
  pretrain bench       tokens a second of a training step here, and the machine's ceiling
  pretrain plan        what a run will take, here and on TPU slices: hours, disk, memory, money
  pretrain preflight   a model + a TPU slice that is not here -> whether the step fits, and its best speed
  finetune compare     checkpoints + a labelled set -> two-phase fine-tuning, table and report
  finetune predict     a fine-tuned classifier + a text, a file or standard input -> labels
  finetune serve       a fine-tuned classifier -> a page to try it on, and JSON
  finetune export      a fine-tuned classifier -> an ONNX model
  finetune push        a fine-tuned classifier -> the Hugging Face hub

'stackbert ROOM VERB --help' lists a command's options.
"""


def corpora_build(config: OmitArgPrefixes[CorpusConfig], out: Path) -> None:
    """Read a dump, a table, a folder or the installed packages' documentation into clean, de-duplicated posts.

    Args:
        out: Folder to write.
    """
    from corpora.build import build_corpus

    build_corpus(out, config)


def corpora_plan(config: OmitArgPrefixes[CorpusConfig], plan: OmitArgPrefixes[PlanConfig]) -> None:
    """Build a sample of a dump on one core, and say what the whole takes on others like it."""
    from corpora.plan import plan_corpus

    print(plan_corpus(config, plan))


def corpora_label(corpora: Positional[tuple[Path, ...]], config: OmitArgPrefixes[LabelConfig], out: Path) -> None:
    """Turn the posts' tags into a labelled set, and keep its test and dev texts out of the text for pretraining.

    Args:
        corpora: Outputs of 'corpora build'.
        out: Folder to write.
    """
    from corpora.labels import build_labels

    build_labels(list(corpora), out, config)


def corpora_audit(
    posts: Positional[Path], labels: Positional[Path], out: Path | None = None, strict: bool = False
) -> None:
    """Count what a text for pretraining gives away of a labelled set's test and dev posts.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build', or a folder of posts.
        labels: Output of 'corpora label', or a labelled set made by hand.
        out: JSON file to write.
        strict: End with status 1 where anything is found.
    """
    from corpora.audit import audit

    found = audit(posts, labels, out)
    print(found)
    if strict and found.total:
        sys.exit(1)


def corpora_attribution(corpus: Positional[Path], out: Path) -> None:
    """List who wrote the posts of a corpus, where, and under which licence.

    Args:
        corpus: Output of 'corpora build'.
        out: File to write, .md or .csv.
    """
    from corpora.attribution import write_attribution

    print(write_attribution(corpus, out))


def corpora_datasheet(corpus: Positional[Path], out: Path | None = None) -> None:
    """Describe a corpus for those who will use it: datasheet.md with its plots.

    Args:
        corpus: Output of 'corpora build'.
        out: Folder to write; without it, the corpus's name with '-datasheet'.
    """
    from corpora.datasheet import write_datasheet

    print(write_datasheet(corpus, out).folder / "datasheet.md")


def tokenizer_train(posts: Positional[Path], config: OmitArgPrefixes[TokenizerConfig], out: Path) -> None:
    """Train a code-aware WordPiece vocabulary.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build'.
        out: Folder to write.
    """
    from pretrain.bases import resolve_base
    from tokenizer.vocabulary import train_tokenizer

    train_tokenizer(posts, out, config, resolve_base(config.extend) if config.extend else None)


def tokenizer_encode(
    posts: Positional[Path], tokenizer: Positional[str], config: OmitArgPrefixes[EncodeConfig], out: Path
) -> None:
    """Encode posts into packed rows of token ids.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build'.
        tokenizer: Folder with tokenizer files, 'minilm' or a hub id.
        out: Folder to write.
    """
    from pretrain.bases import resolve_base
    from tokenizer.rows import encode_rows

    encode_rows(posts, resolve_base(tokenizer), out, config)


def tokenizer_bench(
    posts: Positional[Path], tokenizer: Positional[str], config: OmitArgPrefixes[ReadBenchConfig], base: str = "minilm"
) -> None:
    """Measure how fast posts are read, in pairs with transformers' BertTokenizerFast on the same text.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build'.
        tokenizer: Folder with tokenizer files, 'minilm' or a hub id; read our way.
        base: BERT tokenizer that transformers reads with: a folder, 'minilm' or a hub id.
    """
    from pretrain.bases import resolve_base
    from tokenizer.bench import bench_reading

    bench_reading(posts, resolve_base(tokenizer), resolve_base(base), config)


def tokenizer_report(
    posts: Positional[Path], tokenizers: dict[str, str], config: OmitArgPrefixes[ReportConfig], out: Path
) -> None:
    """Judge tokenizers side by side on the same text: a page, Markdown, JSON and a table.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build'.
        tokenizers: Names and tokenizers in turn, the base first: bert minilm ours out/vocabulary. A tokenizer is a
            folder with tokenizer files, 'minilm' or a hub id.
        out: Folder to write.
    """
    from pretrain.bases import resolve_base
    from tokenizer.report import report_tokenizers

    report_tokenizers(posts, {name: resolve_base(place) for name, place in tokenizers.items()}, out, config)


def doctor(out: Path = Path("runs")) -> None:
    """Check versions, devices, disk and memory, and run the whole chain once with a tiny model.

    Args:
        out: Folder that outputs will be written to.
    """
    from finetune.doctor import examine

    failed = 0
    for finding in examine(out):
        print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.name:<12}{finding.detail}", flush=True)
        failed += not finding.good
    if failed:
        raise StackbertError(f"{failed} of the checks failed")


COMMANDS: dict[str, Callable[..., None]] = {
    "corpora build": corpora_build,
    "corpora plan": corpora_plan,
    "corpora label": corpora_label,
    "corpora audit": corpora_audit,
    "corpora attribution": corpora_attribution,
    "corpora datasheet": corpora_datasheet,
    "tokenizer train": tokenizer_train,
    "tokenizer encode": tokenizer_encode,
    "tokenizer report": tokenizer_report,
    "tokenizer bench": tokenizer_bench,
    **PRETRAIN_COMMANDS,
    **FINETUNE_COMMANDS,
}


def main() -> None:
    """Entry point of the command `stackbert`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    arguments = sys.argv[1:]
    try:
        if _asks_for_overview(arguments):
            print(HELP, end="")
        elif arguments[0] == "run":
            keep_freed_memory()
            _run(arguments[1:])
        elif arguments[0] == "doctor":
            tyro.cli(doctor, prog="stackbert doctor", args=arguments[1:])
        else:
            _room(arguments)
    except StackbertError as error:
        sys.exit(f"stackbert: {error}")
    except KeyboardInterrupt:
        sys.exit("stackbert: interrupted; the same command goes on from what is finished")


def _asks_for_overview(arguments: list[str]) -> bool:
    """Whether no command is named: nothing at all, a plain call for help, or a room without a verb."""
    words = [word for word in arguments if word not in ("-h", "--help", "help")]
    return not words or (len(words) == 1 and words[0] in {name.split()[0] for name in COMMANDS})


def _room(arguments: list[str]) -> None:
    name = " ".join(arguments[:2])
    if name not in COMMANDS:
        raise StackbertError(f"there is no '{name}'; the commands are run, doctor, {', '.join(COMMANDS)}")
    if arguments[0] in ("pretrain", "finetune"):
        keep_freed_memory()
    tyro.cli(COMMANDS[name], prog=f"stackbert {name}", args=arguments[2:])


def _run(arguments: list[str]) -> None:
    named = bool(arguments) and not arguments[0].startswith("-")
    path = Path(arguments[0]) if named else _shipped_study("demo.toml")
    study = tyro.cli(Study, prog="stackbert run [STUDY.toml]", default=load_study(path), args=arguments[int(named) :])
    run_study(study)


def _shipped_study(name: str) -> Path:
    """A study that comes with the project: beside this file in a checkout, else where the installer put it."""
    beside = Path(__file__).parent / "studies" / name
    return beside if beside.is_file() else Path(sysconfig.get_path("data")) / "share" / "stackbert" / "studies" / name


if __name__ == "__main__":
    main()
