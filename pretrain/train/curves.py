"""Held-out loss against tokens read, of several runs in one picture."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stackbert.core.artifact import require_artifact
from stackbert.core.drawing import COLOURS, MARKERS, Plot, compact, draw_plot
from stackbert.core.printing import escape_markdown, markdown_lines

MARKED = 8  # points of a line that carry its marker


def read_curve(run: Path) -> list[dict[str, float]]:
    """The held-out figures along a finished run, step 0 first; raises StackbertError where `run` is none."""
    require_artifact(run, "pretrain run")
    return json.loads((run / "history.json").read_text("utf-8"))


def curves_plot(
    curves: Mapping[str, Sequence[Mapping[str, float]]], places: Sequence[int] = (), legend: bool = True
) -> Plot:
    """Bits per byte of held-out text against tokens read, one line a run; `places` choose colours and markers."""
    places = places or range(len(curves))

    def draw(axes: Axes) -> None:
        for place, (name, points) in zip(places, curves.items(), strict=True):
            axes.plot(
                [point["tokens"] for point in points],
                [point["bits_per_byte"] for point in points],
                label=name,
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                markevery=max(1, len(points) // MARKED),
                markersize=5,
                linewidth=1.6,
            )
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: compact(tokens)))
        axes.set(title="Pretraining (lower is better)", xlabel="tokens read", ylabel="bits per byte of held-out text")
        if legend:
            axes.legend(frameon=False)

    words = [
        f"{name} goes from {points[0]['bits_per_byte']:.3f} at tokens {points[0]['tokens']:,} "
        f"to {points[-1]['bits_per_byte']:.3f} at tokens {points[-1]['tokens']:,}"
        for name, points in curves.items()
    ]
    return draw_plot(draw, 3.3, f"Bits per byte of held-out text during pretraining: {'; '.join(words)}.")


def draw_runs(runs: Mapping[str, Path], out: Path) -> str:
    """Draw the runs to `out` (SVG); returns their first and last figures as a table."""
    curves = {name: read_curve(run) for name, run in runs.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(curves_plot(curves).svg, "utf-8")
    header = ("run", "bits per byte at step 0", "at the end", "accuracy", "tokens")
    lines = []
    for name, points in curves.items():
        first, last = points[0], points[-1]
        figures = (first["bits_per_byte"], last["bits_per_byte"], last["accuracy"])
        lines.append([escape_markdown(name), *(f"{figure:.3f}" for figure in figures), f"{last['tokens']:,}"])
    return f"{markdown_lines(header, lines)}\n{out}"
