"""Options of 0.1 under their present names, so that commands that people have written down still run."""

import sys
from collections.abc import Iterator, Sequence

RENAMED = {
    "--along": "--include-exports",
    "--base-row-length": "--teacher-row-length",
    "--held-out": "--decontaminate-against",
    "--held-out-rows": "--validation-rows",
    "--held-out-share": "--validation-share",
    "--keep": "--distill-weight",
    "--rows-at-once": "--micro-batch-rows",
    "--steps-at-once": "--steps-per-execution",
}


def with_present_names(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments with present names of options; a note on stderr says which were replaced.

    >>> list(with_present_names(["--held-out-share=0.1", "rows"]))
    ['--validation-share=0.1', 'rows']
    """
    for argument in arguments:
        name, equals, value = argument.partition("=")
        present = RENAMED.get(name.replace("_", "-"))
        if present:
            print(f"{name} is now called {present}", file=sys.stderr)
        yield present + equals + value if present else argument
