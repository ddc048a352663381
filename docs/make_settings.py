"""Write docs/settings.md from the configuration dataclasses and their attribute docstrings.

python docs/make_settings.py            # writes docs/settings.md
python docs/make_settings.py --check    # exit code 1 if the file is not current
"""

import dataclasses
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from stackbert.cli import COMMANDS
from stackbert.help import attribute_docstrings
from stackbert.planning.config import StudyPlanConfig
from stackbert.study import Study

PAGE = Path(__file__).with_name("settings.md")

HEAD = """\
# Settings

<!-- Written by docs/make_settings.py from the configuration dataclasses. Change those, and run it again. -->

A setting has one name and one default in the study file, on the command line and in Python. `tokens` of the section
`[pretrain]` is `--tokens` of `stackbert pretrain run`, `--pretrain.tokens` of `stackbert run`, and
`pretrain.config.PretrainConfig(tokens=...)` in Python. On the command line, underscores become hyphens
(`--learning-rate`), lists are given as words (`--seeds 0 1 2`), and a boolean has two forms (`--misc`, `--no-misc`).

An unknown name or a value out of range is an error that names the setting and the nearest one.
"""

TITLES = {
    "": ("The study", "the top of the file"),
    "corpora": ("Corpora", "`[corpora.NAME]`, one section for each source"),
    "labels": ("Labels", "`[labels]`"),
    "tokenizer": ("Tokenizer", "`[tokenizer]`"),
    "encode": ("Encoding", "`[encode]`"),
    "pretrain": ("Pretraining", "`[pretrain]`"),
    "phases": (
        "Further phases of pretraining",
        "`[[phases]]`, once for each, followed by `[phases.encode]` and `[phases.pretrain]` with the settings above",
    ),
    "adaptations": ("Adaptations", "`[adaptations.NAME]`, once for each, and `[[adaptations.NAME.phases]]`"),
    "compare": ("Comparison", "`[compare]`"),
    "recipe": ("Fine-tuning recipe", "`[compare.recipe]`"),
}
"""Section of a study -> its heading, and where it is in the file."""
TYPES: dict[Any, str] = {str: "text", int: "integer", float: "number", bool: "boolean", types.NoneType: "not set"}


def main() -> None:
    """Write the page, or check it."""
    page = settings_page()
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text("utf-8") != page:
            sys.exit(f"{PAGE}: is not current; run python docs/make_settings.py")
        return
    PAGE.write_text(page, "utf-8")


def settings_page() -> str:
    """The whole page as Markdown."""
    sections = study_sections()
    used_by = {config: command for command in reversed(COMMANDS) for config in command_configs(command)}
    parts = [HEAD, "## In a study\n"]
    for section, config in sections.items():
        title, where = TITLES[section]
        command = used_by.get(config, "finetune compare" if section == "recipe" else "run")
        parts.append(f"### {title}\n\n{_class_text(config)}\n\nSection: {where}. Command: `stackbert {command}`.\n")
        if section != "phases":
            parts.append(_table(config))
    parts.append("## Of single commands\n")
    parts.append(
        f"### `plan`\n\n{_class_text(StudyPlanConfig)} Those of the study, and these:\n\n{_table(StudyPlanConfig)}"
    )
    for command in COMMANDS:
        configs = command_configs(command)
        own = [config for config in configs if config not in sections.values()]
        shared = [f"`{used_by[config]}`" for config in configs if config in sections.values()]
        note = f"\n\nThe settings of {', '.join(shared)} and these:" if shared else ""
        parts += [f"### `{command}`\n\n{_class_text(config)}{note}\n\n{_table(config)}" for config in own]
    return "\n".join(parts)


def study_sections() -> dict[str, type]:
    """The configurations of a study by their sections' names, in the order of the file."""

    def below(name: str, config: type) -> Iterator[tuple[str, type]]:
        yield name, config
        hints = get_type_hints(config)
        for setting in dataclasses.fields(config):
            # 'corpora' is a table of configurations, the others are one each
            for hint in (hints[setting.name], *get_args(hints[setting.name])):
                if dataclasses.is_dataclass(hint):
                    yield from below(setting.name, cast(type, hint))

    return dict(below("", Study))


def command_configs(command: str) -> list[type]:
    """The dataclasses of a command's options."""
    hints = get_type_hints(COMMANDS[command]).values()
    return [hint for hint in hints if isinstance(hint, type) and dataclasses.is_dataclass(hint)]


def _table(config: type) -> str:
    texts, hints = attribute_docstrings(config), get_type_hints(config)
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    for setting in dataclasses.fields(config):
        if dataclasses.is_dataclass(hints[setting.name]) or setting.name in ("corpora", "phases", "adaptations"):
            continue  # sections of their own
        described = (_type(hints[setting.name]), _default(setting), escape(texts[setting.name]))
        lines.append(f"| `{setting.name}` | {' | '.join(described)} |")
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text for a cell of a Markdown table; parts between backticks stay as they are.

    >>> escape("<a> or |b|, see `x<y`")
    '\\\\<a> or \\\\|b\\\\|, see `x<y`'
    """
    pieces = text.replace("|", "\\|").split("`")
    return "`".join(piece.replace("<", "\\<") if number % 2 == 0 else piece for number, piece in enumerate(pieces))


def _class_text(config: type) -> str:
    return escape(" ".join(inspect.getdoc(config).split()))  # type: ignore[union-attr]


def _type(hint: Any) -> str:
    if hint in TYPES:
        return TYPES[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal and len(arguments) == 1:
        return f"`{_toml(arguments[0])}`"
    if origin is Literal:
        return "one of " + ", ".join(f"`{_toml(value)}`" for value in arguments)
    if origin is tuple:
        described = _type(arguments[0])
        return f"list of {described.removeprefix('one of ')}"
    if origin is dict:
        return f"table of {TYPES[arguments[1]]}"
    if origin in (Union, types.UnionType):
        return ", or ".join(_type(each) for each in arguments if each is not types.NoneType)
    raise TypeError(f"{hint}: add its description to TYPES")


def _default(setting: "dataclasses.Field[Any]") -> str:
    if setting.default is dataclasses.MISSING:
        assert setting.default_factory is not dataclasses.MISSING
        return f"`{_toml(setting.default_factory())}`"
    return "not set" if setting.default is None else f"`{_toml(setting.default)}`"


def _toml(value: Any) -> str:
    """A value as a study file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int):
        return f"{value:_}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)


if __name__ == "__main__":
    main()
