"""Draws plots as SVG text; the same data give the same bytes.

Each panel is a separate small image, so that a page can place two side by side or stack them. Names must not contain
control characters, which XML cannot hold.
"""

import base64
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PANEL_WIDTH = 4.9
"""Inches; 470 pixels on a page: two fit side by side on a desktop, one fits a phone at nearly full size."""

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#B07800",
    "#3A9BD9",
    "#444444",
)  # of Okabe and Ito, two darkened
MARKERS = ("o", "s", "^", "D", "v", "P")  # six, so that 42 lines have distinct pairs of colour and marker
GLYPHS = ("●", "■", "▲", "◆", "▼", "✚")  # the markers as characters, for a legend in text

STYLE: Any = {
    "svg.hashsalt": "stackbert",
    "svg.fonttype": "none",  # text stays text: it can be searched, and the reader's fonts have glyphs that ours lack
    "text.parse_math": False,  # a label may contain a dollar sign
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Plot:
    """One panel: its SVG, and a text alternative."""

    svg: str
    alt: str

    @property
    def source(self) -> str:
        """A data URL, for the `src` of an image."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.encode()).decode()


def draw_plot(draw: Callable[[Axes], None], height: float, alt: str) -> Plot:
    """Draw a panel `height` inches high with `draw(axes)`; `alt` describes in words what it shows."""
    buffer = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The reader's browser draws glyphs that our font lacks from another font.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        matplotlib.rcdefaults()  # a user's matplotlibrc must not change the bytes
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=(PANEL_WIDTH, height))
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Plot(buffer.getvalue(), alt)


def compact(number: float) -> str:
    """A count in a few characters, with a unit prefix.

    >>> compact(18_000_000), compact(2_500), compact(0)
    ('18M', '2.5k', '0')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.4g}{letter}"
    return f"{number:.4g}"
