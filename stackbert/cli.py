"""The command line: parses, calls the rooms, nothing else."""

import inspect
import signal
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

import corpora
import finetune
import pretrain
import tokenizer
from corpora.commands import COMMANDS as CORPORA_COMMANDS
from finetune.commands import COMMANDS as FINETUNE_COMMANDS
from pretrain.commands import COMMANDS as PRETRAIN_COMMANDS
from stackbert import __version__
from stackbert.core.errors import StackbertError, nearest_hint
from stackbert.core.home import expand_home
from stackbert.core.process import keep_freed_memory
from stackbert.guard import DEBUG, INTERRUPTED, TERMINATED, answer, import_tensorflow, silence_libraries
from stackbert.help import document_attributes, with_help
from stackbert.planning.config import StudyPlanConfig
from stackbert.renamed import with_present_names
from stackbert.study import Study, load_study, run_study
from tokenizer.commands import COMMANDS as TOKENIZER_COMMANDS


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


@dataclass(frozen=True)
class RunOptions(Study):
    """Runs every stage of a study, from text to comparison: a base checkpoint is compared with adaptations of it, with
    its own vocabulary and with a new code-aware one."""

    rehearse: bool = False
    """Run everything in minutes, with tiny random checkpoints of the published layouts and a few texts, in a folder of
    its own: 'out' with '-rehearsal'. Shows what would stop the study; its figures mean nothing."""


COMMANDS: dict[str, Callable[..., None]] = {
    **CORPORA_COMMANDS,
    **TOKENIZER_COMMANDS,
    **PRETRAIN_COMMANDS,
    **FINETUNE_COMMANDS,
}
ROOMS = {"corpora": corpora, "tokenizer": tokenizer, "pretrain": pretrain, "finetune": finetune}


def main() -> None:
    """Entry point of the command `stackbert`."""
    silence_libraries()
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    debug = len(arguments) < len(sys.argv) - 1
    code = answer(lambda: _command(arguments), debug)
    if code in (INTERRUPTED, TERMINATED):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl+C, while Python ends, prints nothing
    if code:
        sys.exit(code)


def _command(arguments: list[str]) -> None:
    """Do what the arguments name: help, the version, 'run', 'plan', 'doctor' or a room's verb."""
    for argument in arguments:
        if not argument.isascii() and argument.encode(errors="replace").decode() != argument:
            raise StackbertError(
                f"{argument!r}: is not text in the encoding of this system's locale, {sys.getfilesystemencoding()}; "
                "set another (LC_ALL=C.UTF-8), or rename the file"
            )
    words = [word for word in arguments if word not in ("-h", "--help", "help")]
    if arguments == ["--version"]:
        print(f"stackbert {__version__}")
    elif not words:
        print(overview(), end="")
    elif len(words) == 1 and words[0] in ROOMS:
        print(room_page(words[0]), end="")
    elif words[0] == "run":
        _run(arguments[1:])
    elif words[0] == "plan":
        _plan(arguments[1:])
    elif words[0] == "doctor":
        _start(doctor, "doctor", arguments[1:])
    else:
        name = " ".join(arguments[:2])
        if name not in COMMANDS:
            known = ["run", "plan", "doctor", *COMMANDS]
            raise StackbertError(
                f"there is no '{name}'{nearest_hint(name, known)}; the commands are {', '.join(known)}"
            )
        _start(COMMANDS[name], name, arguments[2:])


def _start(command: Callable[..., None], name: str, arguments: list[str]) -> None:
    """Parse the arguments of a command and run it; with TensorFlow imported quietly where it trains or predicts."""
    uses_tensorflow = name.split()[0] not in ("corpora", "tokenizer")
    start = with_help(command, prepare_tensorflow if uses_tensorflow else lambda: None)
    tyro.cli(start, prog=f"stackbert {name}", args=list(with_present_names(arguments)))


def prepare_tensorflow() -> None:
    """Set what must be set before TensorFlow makes threads, and import it."""
    keep_freed_memory()
    import_tensorflow()


def overview() -> str:
    """The page of `stackbert --help`: one line a command."""
    lines = [
        "usage: stackbert ROOM VERB [options]",
        "       stackbert run|plan [STUDY.toml] [options]",
        "       stackbert doctor | --version",
        "",
        "Domain-adaptive pretraining of small BERT encoders for technical text.",
        "",
        "  run [STUDY.toml]         Run a whole study, from text to comparison; without a file, the demo's.",
        "                           --rehearse: in minutes, with tiny random checkpoints.",
        "  plan [STUDY.toml]        Estimate what it takes: time, disk, memory, cost, here and on TPU slices.",
        f"  doctor                   {_summary(doctor)}",
    ]
    for room in ROOMS:
        lines += ["", f"{room}: {_purpose(room)}", *_verbs(room)]
    lines += [
        "",
        "'stackbert ROOM --help' describes a room, 'stackbert ROOM VERB --help' lists a command's options.",
        f"{DEBUG}, given to any command, shows the traceback of an error.",
    ]
    return "\n".join(lines) + "\n"


def room_page(room: str) -> str:
    """The page of `stackbert ROOM --help`: what the room is for, and its verbs."""
    lines = [
        f"usage: stackbert {room} VERB [options]",
        "",
        _purpose(room),
        "",
        *_verbs(room),
        "",
        f"'stackbert {room} VERB --help' lists a verb's options, each with its default and unit.",
    ]
    return "\n".join(lines) + "\n"


def _purpose(room: str) -> str:
    return inspect.cleandoc(ROOMS[room].__doc__ or "").splitlines()[0]


def _verbs(room: str) -> list[str]:
    names = [name for name in COMMANDS if name.split()[0] == room]
    return [f"  {name:<24} {_summary(COMMANDS[name])}" for name in names]


def _summary(command: Callable[..., None]) -> str:
    return inspect.cleandoc(command.__doc__ or "").splitlines()[0]


def _run(arguments: list[str]) -> None:
    found, options = _named_study(arguments)
    document_attributes(RunOptions)
    given = tyro.cli(RunOptions, prog="stackbert run [STUDY.toml]", default=RunOptions(**vars(found)), args=options)
    study = expand_home(given, RunOptions)
    prepare_tensorflow()
    if study.rehearse:
        from stackbert.rehearsal.rehearse import rehearse_study

        rehearse_study(study)
    else:
        run_study(study)


def _plan(arguments: list[str]) -> None:
    default, options = _named_study(arguments)
    document_attributes(StudyPlanConfig)
    settings, unnamed = StudyPlanConfig(), tyro.conf.arg(name="")  # options as of 'run', without a prefix

    def given(
        study: Annotated[Study, unnamed] = default, plan: Annotated[StudyPlanConfig, unnamed] = settings
    ) -> tuple[Study, StudyPlanConfig]:
        """Estimate time, disk, memory and cost of every stage of a study, on this machine and on TPU slices."""
        return expand_home(study, Study), expand_home(plan, StudyPlanConfig)

    study, plan = tyro.cli(given, prog="stackbert plan [STUDY.toml]", args=options)
    prepare_tensorflow()
    from stackbert.plan import plan_study

    print(plan_study(study, plan))


def _named_study(arguments: list[str]) -> tuple[Study, list[str]]:
    """The study that is the first argument, by default the demo's, and the other arguments."""
    named = bool(arguments) and not arguments[0].startswith("-")
    path = expand_home(Path(arguments[0]), Path) if named else _shipped_study("demo.toml")
    document_attributes(Study)
    return load_study(path), arguments[int(named) :]


def _shipped_study(name: str) -> Path:
    """A study that comes with the project: beside this package in a checkout, else where the installer put it."""
    beside = Path(__file__).parents[1] / "studies" / name
    return beside if beside.is_file() else Path(sysconfig.get_path("data")) / "share" / "stackbert" / "studies" / name
