"""Settings of a study, checked against their dataclasses: unknown and invalid ones are named."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from corpora.config import CorpusConfig, LabelConfig
from finetune.config import CompareConfig, FinetuneConfig
from pretrain.config import PretrainConfig
from stackbert.config import Adaptation, StudyPhase
from stackbert.core.errors import StackbertError, nearest_hint
from stackbert.core.home import expand_home
from tokenizer.config import EncodeConfig, TokenizerConfig

SECTIONS: dict[str, type] = {
    "corpora": CorpusConfig,
    "labels": LabelConfig,
    "tokenizer": TokenizerConfig,
    "encode": EncodeConfig,
    "pretrain": PretrainConfig,
    "compare": CompareConfig,
    "recipe": FinetuneConfig,
    "phases": StudyPhase,
    "adaptations": Adaptation,
}

Config = TypeVar("Config")


def strict_adapter(config: type[Config]) -> TypeAdapter[Config]:
    """Validates settings of a dataclass and rejects unknown ones, in it and in the sections."""
    for each in (config, *SECTIONS.values()):
        setattr(each, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010
    return TypeAdapter(config)


def validated(config: type[Config], settings: Mapping[str, Any], where: str) -> Config:
    """The dataclass with these settings, with '~' expanded; raises StackbertError that names each wrong one."""
    try:
        found: Config = expand_home(strict_adapter(config).validate_python(dict(settings)), config)
    except ValidationError as error:
        raise StackbertError("\n  ".join(error_lines(error, config, where))) from None
    return found


def error_lines(error: ValidationError, config: type, where: str = "") -> list[str]:
    """A line for each wrong setting; `config` is the dataclass of the outermost section, which is called `where`."""
    return [_error_line(tuple(each["loc"]), each["type"], each["msg"], config, where) for each in error.errors()]


def _error_line(location: tuple[str | int, ...], kind: str, message: str, outermost: type, where: str) -> str:
    """What is wrong with the setting at `location`; for an unknown one, the nearest name."""
    # a setting of two types has an error for each, with the type at the end of its location
    keys = [str(key) for key in location if key != "int" and not str(key).startswith("literal[")]
    path = ".".join([where] * bool(where) + keys)
    if not path:  # of the study as a whole
        return message.removeprefix("Value error, ")
    if kind != "unexpected_keyword_argument":
        return f"{path}: {message.removeprefix('Value error, ')}"
    # the innermost configuration around the setting; below 'corpora' there is a level of names
    config = next((SECTIONS[str(key)] for key in reversed(location[:-1]) if key in SECTIONS), outermost)
    names = [setting.name for setting in dataclasses.fields(config)]
    hint = nearest_hint(str(location[-1]), names) or f"; the settings are {', '.join(names)}"
    return f"{path}: no such setting{hint}"
