"""Help texts of the command line, from the docstrings of commands and of their configurations' attributes."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Callable
from typing import Annotated, Any, cast, get_args, get_type_hints

import tyro
from typing_extensions import Doc
from tyro.conf import Positional

from stackbert.core.home import expand_home

_POSITIONAL = get_args(Positional[str])[1]


def attribute_docstrings(config: type) -> dict[str, str]:
    """The docstring below each attribute of a dataclass, its bases' included, on one line."""
    found: dict[str, str] = {}
    for owner in reversed(config.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for attribute, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(attribute, ast.AnnAssign) and isinstance(text, ast.Expr):
                assert isinstance(attribute.target, ast.Name)
                assert isinstance(text.value, ast.Constant)
                found[attribute.target.id] = " ".join(str(text.value.value).split())
    return found


def with_help(command: Callable[..., None], prepare: Callable[[], None]) -> Callable[..., None]:
    """The command as tyro is to see it: attributes documented, positional arguments shown by their names.

    `prepare` is called once the arguments are parsed, just before the command. '~' in them is the home folder.
    """
    hints = get_type_hints(command, include_extras=True)
    for name, hint in hints.items():
        kind, *marks = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
        document_attributes(kind)
        if _POSITIONAL in marks:
            hints[name] = Annotated[hint, tyro.conf.arg(metavar=name.upper())]

    signature = inspect.signature(command)

    def start(*arguments: Any, **options: Any) -> None:
        given = signature.bind(*arguments, **options)
        given.arguments.update({name: expand_home(value, hints[name]) for name, value in given.arguments.items()})
        prepare()
        command(*given.args, **given.kwargs)

    parameters = [each.replace(annotation=hints[each.name]) for each in signature.parameters.values()]
    start.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    start.__annotations__, start.__doc__ = hints, command.__doc__
    return start


def document_attributes(config: Any) -> None:
    """Give tyro the attribute docstrings of a dataclass and of those inside it; on its own it breaks their lines."""
    if not dataclasses.is_dataclass(config):
        for each in get_args(config):
            document_attributes(each)
        return
    kind = cast(type, config)
    texts = attribute_docstrings(kind)
    for name, hint in get_type_hints(kind, include_extras=True).items():
        document_attributes(hint)
        if name in texts and Doc(texts[name]) not in getattr(hint, "__metadata__", ()):
            kind.__annotations__[name] = Annotated[hint, Doc(texts[name])]
