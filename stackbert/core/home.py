"""'~' at the start of a path is the home folder, in every setting that names a file or folder.

The command line and study files go through `expand_home` once; shells expand '~' in some of a command's words only.
"""

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

_MARK = "names a file or folder"

PathText = Annotated[str, _MARK]
"""Type of a text setting that can name a file or folder."""


def expand_home(value: Any, hint: Any) -> Any:
    """The value with '~' replaced in its paths: each Path, and each text whose type, in `hint`, is PathText.

    >>> os.environ["HOME"] = "/home/ada"
    >>> expand_home([("old", "~/a"), ("~", "minilm")], list[tuple[str, PathText]])
    [('old', '/home/ada/a'), ('~', 'minilm')]
    """
    if isinstance(value, Path):
        return Path(os.path.expanduser(value))  # noqa: PTH111 - expanduser of Path raises for an unknown user
    if isinstance(value, str):
        return os.path.expanduser(value) if is_path(hint) else value  # noqa: PTH111
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value), include_extras=True)
        found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        changed = {name: new for name, old in found.items() if (new := expand_home(old, hints[name])) != old}
        return dataclasses.replace(value, **changed) if changed else value
    inner = get_args(_plain(hint))
    if isinstance(value, dict):
        return {key: expand_home(item, inner[1] if inner else Any) for key, item in value.items()}
    if isinstance(value, list | tuple):
        each = inner if len(inner) == len(value) and ... not in inner else [inner[0] if inner else Any] * len(value)
        return type(value)(expand_home(item, kind) for item, kind in zip(value, each, strict=True))
    return value


def is_path(hint: Any) -> bool:
    """Whether values of this type, or of one inside it, name a file or folder."""
    return hint is Path or _MARK in getattr(hint, "__metadata__", ()) or any(map(is_path, get_args(hint)))


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
