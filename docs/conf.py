"""Sphinx builds these pages: sphinx-build -W -n docs build/docs."""

import re
from pathlib import Path

project = "Stackbert"
copyright = "the Stackbert authors"
_source = (Path(__file__).parents[1] / "stackbert" / "__init__.py").read_text("utf-8")
release = version = re.findall(r'__version__ = "(.+)"', _source)[0]

extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"Stackbert {release}"
