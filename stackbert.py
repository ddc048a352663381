"""The command line: parses, calls the rooms, nothing else."""

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import tyro
from tyro.conf import OmitArgPrefixes, Positional

from corpora.config import CorpusConfig, LabelConfig
from corpora.errors import StackbertError
from finetune.config import CompareConfig
from finetune.study import Study, load_study, run_study
from pretrain.config import PretrainConfig
from tokenizer.config import EncodeConfig, TokenizerConfig

HELP = """usage: stackbert ROOM VERB [options], or stackbert run [STUDY.toml] [options]

Adapts a small BERT encoder to technical text, and says honestly whether that paid.

  run [STUDY.toml]     the whole chain, from text to comparison; studies/demo.toml if no file is named
  corpora build        a dump, a table or the installed packages' documentation -> clean posts
  corpora label        posts -> a leak-free labelled set, and the text left for pretraining
  corpora audit        posts + a labelled set -> what the posts give away of its test and dev texts
  corpora attribution  posts -> a list of their authors, addresses and licences
  corpora datasheet    posts -> what they are: counts, lengths, code, tags, years, licences, drops
  corpora plan         a dump -> hours, disk and memory to build it, from a sample of it
  tokenizer train      posts -> a code-aware WordPiece vocabulary
  tokenizer encode     posts + a tokenizer -> packed rows of token ids
  pretrain run         a base checkpoint + rows -> an adapted checkpoint
  finetune compare     checkpoints + a labelled set -> two-phase fine-tuning, table and report
  finetune predict     a fine-tuned classifier + a text -> its labels

'stackbert ROOM VERB --help' lists a command's options.
"""


def corpora_build(config: OmitArgPrefixes[CorpusConfig], out: Path) -> None:
    """Read a dump, a table or the installed packages' documentation into clean, de-duplicated posts.

    Args:
        out: Folder to write.
    """
    from corpora.build import build_corpus

    build_corpus(out, config)


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


def corpora_plan(
    path: Positional[Path],
    cores: tuple[int, ...] = (1, 16, 256),
    gigabytes: float | None = None,
    sample_megabytes: float = 32,
) -> None:
    """Build the beginning of a dump here, and say what all of it will take: hours, disk and memory.

    Args:
        path: A Posts.xml or its .7z; with 'gigabytes', any dump of the kind.
        cores: Numbers of cores to plan for.
        gigabytes: Size in XML of the dump to plan for; without it, that of 'path'.
        sample_megabytes: XML to build; more takes longer and is more exact.
    """
    from corpora.plan import plan_build

    print(plan_build(path, cores, gigabytes, sample_megabytes))


def tokenizer_train(posts: Positional[Path], config: OmitArgPrefixes[TokenizerConfig], out: Path) -> None:
    """Train a code-aware WordPiece vocabulary.

    Args:
        posts: Output of 'corpora label' (its text for pretraining is read) or 'corpora build'.
        out: Folder to write.
    """
    from tokenizer.vocabulary import train_tokenizer

    train_tokenizer(posts, out, config)


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


def pretrain_run(
    rows: Positional[Path], tokenizer: Positional[str], config: OmitArgPrefixes[PretrainConfig], out: Path
) -> None:
    """Continue masked-language-model pretraining of a base on packed rows; goes on where a stopped run was.

    Args:
        rows: Output of 'tokenizer encode'.
        tokenizer: The tokenizer that the rows were encoded with.
        out: Folder to write.
    """
    from pretrain.bases import resolve_base
    from pretrain.training import pretrain

    pretrain(rows, resolve_base(tokenizer), out, config)


def finetune_compare(
    labels: Positional[Path], checkpoints: dict[str, str], config: OmitArgPrefixes[CompareConfig], out: Path
) -> None:
    """Fine-tune checkpoints in two phases over the same data and seeds, and compare them.

    Args:
        labels: Output of 'corpora label'.
        checkpoints: Names and checkpoints in turn: generic minilm adapted out/adapted.
        out: Folder to write.
    """
    from finetune.compare import compare

    compare(labels, checkpoints, out, config)


def finetune_predict(model: Positional[Path], text: Positional[str], top: int = 5) -> None:
    """Label a text.

    Args:
        model: A fine-tuned classifier: a folder in a comparison's 'models'.
        text: The text; '-' reads standard input.
        top: Labels to show; those above the threshold are starred.
    """
    from finetune.bundle import load_bundle

    prediction = load_bundle(model).predict([sys.stdin.read() if text == "-" else text])[0]
    for name, score in prediction.labels[:top]:
        print(f"{'*' if score >= prediction.threshold else ' '} {score:.3f}  {name}")


COMMANDS: dict[str, Callable[..., None]] = {
    "corpora build": corpora_build,
    "corpora label": corpora_label,
    "corpora audit": corpora_audit,
    "corpora attribution": corpora_attribution,
    "corpora datasheet": corpora_datasheet,
    "corpora plan": corpora_plan,
    "tokenizer train": tokenizer_train,
    "tokenizer encode": tokenizer_encode,
    "pretrain run": pretrain_run,
    "finetune compare": finetune_compare,
    "finetune predict": finetune_predict,
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
            _run(arguments[1:])
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
        raise StackbertError(f"there is no '{name}'; the commands are run, {', '.join(COMMANDS)}")
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
