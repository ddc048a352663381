"""The command line: parses, calls the rooms, nothing else."""

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import tyro

from corpora.commands import COMMANDS as CORPORA_COMMANDS
from finetune.commands import COMMANDS as FINETUNE_COMMANDS
from pretrain.commands import COMMANDS as PRETRAIN_COMMANDS
from stackbert.core.errors import StackbertError
from stackbert.core.process import keep_freed_memory
from stackbert.study import Study, load_study, run_study
from tokenizer.commands import COMMANDS as TOKENIZER_COMMANDS

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
  pretrain compare-starts    the held-out loss at step 0 of each start for a new vocabulary
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


def doctor(out: Path = Path("runs")) -> None:
    """Check versions, devices, disk and memory, and run the whole chain once with a tiny model.

    Args:
        out: Folder that outputs will be written to.
    """
    from stackbert.doctor import examine

    failed = 0
    for finding in examine(out):
        print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.name:<12}{finding.detail}", flush=True)
        failed += not finding.good
    if failed:
        raise StackbertError(f"{failed} of the checks failed")


COMMANDS: dict[str, Callable[..., None]] = {
    **CORPORA_COMMANDS,
    **TOKENIZER_COMMANDS,
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
    beside = Path(__file__).parents[1] / "studies" / name
    return beside if beside.is_file() else Path(sysconfig.get_path("data")) / "share" / "stackbert" / "studies" / name
