"""Learning curves: validation bits per byte against tokens read, several runs in one plot."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stackbert.core.artifact import require_artifact
from stackbert.core.drawing import COLOURS, MARKERS, Plot, compact, draw_plot
from stackbert.core.errors import StackbertError
from stackbert.core.place import require_file_place
from stackbert.core.printing import escape_markdown, markdown_lines

MARKERS_PER_LINE = 8


def read_curve(run: Path) -> list[dict[str, float]]:
    """Validation results of a finished run, step 0 first; raises StackbertError where `run` does not mask tokens."""
    require_artifact(run, "pretrain run")
    curve: list[dict[str, float]] = json.loads((run / "history.json").read_text("utf-8"))
    if "bits_per_byte" not in curve[0]:
        raise StackbertError(f"{run}: its objective masks no tokens and has no bits per byte; see its history.json")
    return curve


def curves_plot(
    curves: Mapping[str, Sequence[Mapping[str, float]]], styles: Sequence[int] = (), legend: bool = True
) -> Plot:
    """Validation bits per byte against tokens read, one line per run; `styles` index colours and markers."""
    styles = styles or range(len(curves))

    def draw(axes: Axes) -> None:
        for style, (name, points) in zip(styles, curves.items(), strict=True):
            axes.plot(
                [point["tokens"] for point in points],
                [point["bits_per_byte"] for point in points],
                label=name,
                color=COLOURS[style % len(COLOURS)],
                marker=MARKERS[style % len(MARKERS)],
                markevery=max(1, len(points) // MARKERS_PER_LINE),
                markersize=5,
                linewidth=1.6,
            )
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: compact(tokens)))
        axes.set(title="Pretraining (lower is better)", xlabel="tokens read", ylabel="validation bits per byte")
        if legend:
            axes.legend(frameon=False)

    words = [
        f"{name} goes from {points[0]['bits_per_byte']:.3f} at tokens {points[0]['tokens']:,} "
        f"to {points[-1]['bits_per_byte']:.3f} at tokens {points[-1]['tokens']:,}"
        for name, points in curves.items()
    ]
    return draw_plot(draw, 3.3, f"Validation bits per byte during pretraining: {'; '.join(words)}.")


def draw_runs(runs: Mapping[str, Path], out: Path) -> str:
    """Write the plot to `out` (SVG); returns a table of the runs' first and last results."""
    require_file_place(out, *runs.values())
    curves = {name: read_curve(run) for name, run in runs.items()}
    out.write_text(curves_plot(curves).svg, "utf-8")
    header = ("run", "bits per byte at step 0", "at the end", "accuracy", "tokens")
    lines = []
    for name, points in curves.items():
        first, last = points[0], points[-1]
        figures = (first["bits_per_byte"], last["bits_per_byte"], last["accuracy"])
        lines.append([escape_markdown(name), *(f"{figure:.3f}" for figure in figures), f"{last['tokens']:,}"])
    return f"{markdown_lines(header, lines)}\n{out}"
