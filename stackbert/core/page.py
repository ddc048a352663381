"""Self-contained HTML pages: no script, no external resources, every value escaped."""

from pathlib import Path

import jinja2


def page_environment(folder: Path) -> jinja2.Environment:
    """A Jinja environment with the templates of `folder` and the shared style sheet, `page.css.j2`."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
