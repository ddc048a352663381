"""The report of a comparison: a page to read, a table for a README, and one for the terminal."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from finetune.compare.gain_plots import build_gain_plots
from finetune.compare.plots import MAX_LABELS, build_plots, labels_by_support, run_places
from finetune.compare.results import EXAMPLES_SOUGHT
from finetune.metrics.diagnostics import LEAST_PROBABILITY
from stackbert.core.drawing import COLOURS, GLYPHS
from stackbert.core.page import page_environment
from stackbert.core.printing import columns, escape_markdown, fit, markdown_lines, plain, printable
from tokenizer.report.view import SPECIALS, UNKNOWN, words_of

TERMINAL_COLUMNS = 110
MIN_NAME_COLUMNS = 12
MAX_TOKENS = 240
"""Tokens shown of one example; a longer text makes the same point."""
NOTHING = "\N{EN DASH}"

HEADER = ("", "head: val_acc", "head: weighted F1", "fine-tuned: val_acc", "fine-tuned: weighted F1", "difference", "")
TERMINAL_HEADER = ("val_acc, weighted F1:", "head", "fine-tuned", "difference", "")


def write_report(comparison: dict[str, Any], folder: Path) -> None:
    """Write `comparison.md` and `report.html` into `folder`; the page needs no other file and runs no script."""
    comparison = printable(comparison)
    (folder / "comparison.md").write_text(_markdown(comparison), "utf-8")
    (folder / "report.html").write_text(_page(comparison), "utf-8")


def table_text(comparison: dict[str, Any]) -> str:
    """The study's table for the terminal: aligned, at most 110 columns, no control character but the line's end."""
    comparison = printable(comparison)
    lines: list[tuple[str, ...]] = [TERMINAL_HEADER]
    for row in comparison["rows"]:
        head, whole = (
            f"{mean(phase['val_acc'])}, {mean(phase['weighted_f1'])}" if phase else NOTHING
            for phase in (row["phases"]["head"], row["phases"]["whole"])
        )
        whole = f"{whole} {spread(row['phases']['whole']['weighted_f1'])}"
        lines.append((row["name"], head, whole, difference(row), verdict(row, comparison["baseline"])))
    widths = [max(columns(cell) for cell in cells) for cells in zip(*lines, strict=True)]
    others = sum(widths[1:]) + 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(TERMINAL_COLUMNS - others, MIN_NAME_COLUMNS))
    table = ["  ".join(fit(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [comparison["verdict"], *comparison["warnings"], interval_note(comparison)]
    return "\n".join([*table, "", *(line for note in notes for line in textwrap.wrap(note, TERMINAL_COLUMNS))])


def markdown_table(comparison: dict[str, Any]) -> str:
    """The study's table in Markdown."""
    comparison = printable(comparison)
    lines = []
    for row in comparison["rows"]:
        scores = [
            f"{mean(score)} {spread(score)}".strip()
            for phase in (row["phases"]["head"], row["phases"]["whole"])
            for score in (phase and phase["val_acc"], phase and phase["weighted_f1"])
        ]
        lines.append([escape_markdown(row["name"]), *scores, difference(row), verdict(row, comparison["baseline"])])
    return markdown_lines(HEADER, lines)


def mean(score: dict[str, Any] | None) -> str:
    """The mean over seeds with three places."""
    return f"{score['mean']:.3f}" if score else NOTHING


def spread(score: dict[str, Any] | None) -> str:
    """Half the interval if it lies evenly about the mean, else its ends; nothing if there is but one seed.

    >>> spread({"mean": 0.7, "low": 0.69, "high": 0.71}), spread({"mean": 0.7, "low": 0.69, "high": 0.74})
    ('±0.010', '[0.690, 0.740]')
    """
    if not score or score["low"] == score["high"]:
        return ""
    below, above = score["mean"] - score["low"], score["high"] - score["mean"]
    return f"±{above:.3f}" if abs(below - above) < 0.0005 else f"[{score['low']:.3f}, {score['high']:.3f}]"


def difference(row: dict[str, Any]) -> str:
    """The difference to the baseline with its interval, to a fourth digit where three would show a false zero."""
    against = row["against_baseline"]
    if not against:
        return NOTHING
    ends = (against["difference"], against["low"], against["high"])
    digits = 4 if any(0 < abs(end) < 0.0005 for end in ends) else 3
    return "{:+.{d}f} [{:+.{d}f}, {:+.{d}f}]".format(*ends, d=digits)


def verdict(row: dict[str, Any], baseline: str) -> str:
    """What a row is beside the baseline: better, worse or no different."""
    if row["name"] == baseline:
        return "baseline"
    return row["against_baseline"]["verdict"] if row["against_baseline"] else ""


def interval_note(comparison: dict[str, Any]) -> str:
    """What the intervals are, in words."""
    seeds = len(comparison["seeds"])
    own = f"± is a 95 % interval over {seeds} seeds (Student's t); a row made once has none."
    of_difference = "that holds the chance of the test texts (paired bootstrap) and of the seeds."
    if seeds == 1:
        own = "One seed: a row's own figures have no interval."
        of_difference = "over test texts (paired bootstrap); the chance of the seed is not in it."
    return (
        f"{own} Differences are in weighted F1, fine-tuned, to {comparison['baseline']}, with a 95 % interval "
        f"{of_difference}"
    )


def duration(seconds: float | None) -> str:
    """
    >>> duration(9.4), duration(75), duration(7380)
    ('9.4 s', '1 min 15 s', '2 h 03 min')
    """
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def thresholds(of_seeds: Sequence[Sequence[float]]) -> str:
    """The threshold of each seed, or their range where labels have their own or there are many.

    >>> thresholds([[0.31], [0.33]]), thresholds([[0.2, 0.3], [0.25]])
    ('0.31, 0.33', '3 values from 0.20 to 0.30')
    """
    values = [value for of_labels in of_seeds for value in of_labels]
    if len(values) > len(of_seeds) or len(values) > 6:
        return f"{len(values)} values from {min(values):.2f} to {max(values):.2f}"
    return ", ".join(f"{value:.2f}" for value in values) or NOTHING


def size(number_of_bytes: float | None) -> str:
    """
    >>> size(90_900_000), size(2_345_000_000)
    ('91 MB', '2.3 GB')
    """
    if number_of_bytes is None:
        return NOTHING
    return f"{number_of_bytes / 1e6:.0f} MB" if number_of_bytes < 1e9 else f"{number_of_bytes / 1e9:.1f} GB"


def _markdown(comparison: dict[str, Any]) -> str:
    rows, data = comparison["rows"], comparison["data"]
    names = _union(row["metrics"] for row in rows)
    scores = {name: [row["metrics"].get(name) for row in rows] for name in names}
    metrics = [
        [escape_markdown(name), *(f"{mean(score)} {spread(score)}".strip() for score in scores[name])] for name in names
    ]
    definitions = comparison["definitions"]
    defined = [name for name in names if name in definitions]
    listed = [f"- {escape_markdown(name)}: {escape_markdown(definitions[name])}" for name in defined]
    made = ("settings", "made_from", "versions")
    facts = {**comparison["recipe"], "seeds": comparison["seeds"]}
    facts |= {name: value for part in made for name, value in comparison[part].items()}
    return "\n".join(
        [
            f"# {escape_markdown(comparison['title'])}\n",
            f"{escape_markdown(comparison['verdict'])}\n",
            markdown_table(comparison),
            f"{escape_markdown(interval_note(comparison))}\n",
            *(f"{escape_markdown(warning)}\n" for warning in comparison["warnings"]),
            f"{len(data['labels'])} labels, {data['labels_per_text']:.2f} a text; {data['train']:,} training, "
            f"{data['dev']:,} dev and {data['test']:,} test texts.\n",
            *_gain_lines(
                "Gain against labelled texts", "texts", comparison["gain_against_labels"], comparison["baseline"]
            ),
            *_gain_lines("Gain against tokens", "tokens", comparison["gain_against_tokens"], comparison["baseline"]),
            "## All metrics\n",
            markdown_lines(["", *(escape_markdown(row["name"]) for row in rows)], metrics),
            *listed,
            "\n## How it was made\n",
            *(f"- {escape_markdown(str(name))}: {escape_markdown(plain(value))}" for name, value in facts.items()),
            "",
        ]
    )


def _gain_lines(title: str, amount: str, gains: Sequence[dict[str, Any]], baseline: str) -> list[str]:
    lines = [
        [
            escape_markdown(gain["name"]),
            f"{point[amount]:,}",
            f"{mean(point['weighted_f1'])} {spread(point['weighted_f1'])}".strip(),
            difference(point),
            verdict(gain | point, baseline),
        ]
        for gain in gains
        for point in gain["points"]
    ]
    return [f"## {title}\n", markdown_lines(["", amount, "weighted F1", "difference", ""], lines)] if lines else []


def _union(mappings: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _page(comparison: dict[str, Any]) -> str:
    environment = page_environment(Path(__file__).parent)
    for function in (mean, spread, difference, verdict, duration, words_of, plain, thresholds, size):
        environment.filters[function.__name__] = function
    rows = comparison["rows"]
    return environment.get_template("report.html.j2").render(
        **comparison,
        plots=build_plots(comparison) | build_gain_plots(comparison),
        metric_names=_union(row["metrics"] for row in rows),
        stage_names=_union(row["seconds"] for row in rows),
        run_places=run_places(rows, comparison["pretraining"]),
        supports=labels_by_support(rows),
        label_scores=[{entry["label"]: entry for entry in row["per_label"]} for row in rows],
        colours=COLOURS,
        glyphs=GLYPHS,
        interval_note=interval_note(comparison),
        max_labels=MAX_LABELS,
        max_tokens=MAX_TOKENS,
        examples_sought=EXAMPLES_SOUGHT,
        least_probability=LEAST_PROBABILITY,
        specials=SPECIALS,
        unknown=UNKNOWN,
        nothing=NOTHING,
    )
