"""The report of a comparison: an HTML page, a Markdown file, and a table for the terminal."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from finetune.compare.choices import CHOICE_TITLE, choice_lines, choice_note, choice_sentences, choice_table
from finetune.compare.comparison import Comparison, DataSummary, LabelGain, TokenGain, from_json, to_json
from finetune.compare.gain_plots import build_gain_plots
from finetune.compare.label_worth import COLUMN as LABEL_WORTH_COLUMN
from finetune.compare.label_worth import NOTHING, label_worth, label_worth_note, label_worth_sentences
from finetune.compare.phase_table import PHASE_NOTE, PHASE_TITLE, phase_lines, phase_table
from finetune.compare.plots import MAX_LABELS, build_plots, colour_indices, labels_by_support
from finetune.compare.results import EXAMPLE_CANDIDATES
from finetune.metrics.diagnostics import MIN_PROBABILITY
from finetune.metrics.significance import Difference, Interval
from stackbert.core.drawing import COLOURS, GLYPHS
from stackbert.core.page import page_environment
from stackbert.core.printing import columns, escape_markdown, fit, markdown_lines, plain, printable
from tokenizer.report.view import SPECIALS, UNKNOWN, words_of

TERMINAL_COLUMNS = 110
MIN_NAME_COLUMNS = 12
MAX_TOKENS = 240
"""Maximum number of tokens shown per example."""
HEADER = ("", "head: val_acc", "head: weighted F1", "fine-tuned: val_acc", "fine-tuned: weighted F1", "difference", "")
TERMINAL_HEADER = ("val_acc, weighted F1:", "head", "fine-tuned", "difference", "")


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write comparison.md and report.html to `folder`; the page is a single file without scripts."""
    comparison = _printable(comparison)
    (folder / "comparison.md").write_text(_markdown(comparison), "utf-8")
    (folder / "report.html").write_text(_page(comparison), "utf-8")


def table_text(comparison: Comparison) -> str:
    """The main table for the terminal: aligned, at most 110 columns, without control characters besides newlines."""
    comparison = _printable(comparison)
    lines: list[tuple[str, ...]] = [TERMINAL_HEADER]
    for system in comparison.systems:
        head, whole = (
            f"{mean(phase.val_acc)}, {mean(phase.weighted_f1)}" if phase else NOTHING
            for phase in (system.phases.head, system.phases.whole)
        )
        whole = f"{whole} {spread(system.phases.whole.weighted_f1)}"
        against = system.against_baseline
        outcome = verdict(against, system.name == comparison.baseline)
        lines.append((system.name, head, whole, difference(against), outcome))
    widths = [max(columns(cell) for cell in cells) for cells in zip(*lines, strict=True)]
    others = sum(widths[1:]) + 2 * (len(widths) - 1)
    widths[0] = min(widths[0], max(TERMINAL_COLUMNS - others, MIN_NAME_COLUMNS))
    table = ["  ".join(fit(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    below = [comparison.verdict, *comparison.equivalences, *comparison.warnings, *notes(comparison)]
    below += label_worth_sentences(comparison.gain_against_labels, comparison.baseline)
    below += choice_sentences(comparison.searches)
    return "\n".join([*table, "", *(line for note in below for line in textwrap.wrap(note, TERMINAL_COLUMNS))])


def markdown_table(comparison: Comparison) -> str:
    """The main table in Markdown."""
    comparison = _printable(comparison)
    lines = []
    for system in comparison.systems:
        scores = [
            f"{mean(score)} {spread(score)}".strip()
            for phase in (system.phases.head, system.phases.whole)
            for score in ((phase.val_acc, phase.weighted_f1) if phase else (None, None))
        ]
        against = system.against_baseline
        outcome = verdict(against, system.name == comparison.baseline)
        lines.append([escape_markdown(system.name), *scores, difference(against), outcome])
    return markdown_lines(HEADER, lines)


def mean(score: Interval | None) -> str:
    """The mean over seeds with three decimals."""
    return f"{score.mean:.3f}" if score else NOTHING


def spread(score: Interval | None) -> str:
    """Half the width of a symmetric interval, else its ends; empty with a single seed.

    >>> spread(Interval(0.7, 0.69, 0.71, [])), spread(Interval(0.7, 0.69, 0.74, []))
    ('±0.010', '[0.690, 0.740]')
    """
    if not score or score.low == score.high:
        return ""
    below, above = score.mean - score.low, score.high - score.mean
    return f"±{above:.3f}" if abs(below - above) < 0.0005 else f"[{score.low:.3f}, {score.high:.3f}]"


def difference(against: Difference | None) -> str:
    """The difference to the baseline with its interval; with a fourth decimal where three would show a false zero."""
    if not against:
        return NOTHING
    ends = (against.difference, against.low, against.high)
    digits = 4 if any(0 < abs(end) < 0.0005 for end in ends) else 3
    return "{:+.{d}f} [{:+.{d}f}, {:+.{d}f}]".format(*ends, d=digits)


def verdict(against: Difference | None, is_baseline: bool) -> str:
    """'better', 'worse' or 'no difference', and whether it is equivalent; 'baseline' for the baseline itself.

    >>> verdict(Difference(0.004, 0.001, 0.007, "better", 0.002, 0.006, True, 0.005), False)
    'better, equivalent'
    """
    if is_baseline or not against:
        return "baseline" if is_baseline else ""
    if not against.equivalent:
        return against.verdict
    return "equivalent" if against.verdict == "no difference" else f"{against.verdict}, equivalent"


def notes(comparison: Comparison) -> list[str]:
    """Explanations of the intervals, of the verdicts and of what the comparison can show."""
    smallest = [
        f"{system.name} {100 * system.against_baseline.smallest_shown:.1f}"
        for system in comparison.systems
        if system.against_baseline
    ]
    points = comparison.equivalence_points
    shown = "Smallest true difference that this comparison shows (80 % power, two-sided 5 %), in points: "
    return [
        interval_note(comparison),
        "Equivalent: the 90 % interval of the difference lies within "
        f"\N{PLUS-MINUS SIGN}{points:g} point{'' if points == 1 else 's'} (two one-sided tests at 5 %).",
        *([f"{shown}{'; '.join(smallest)}."] if smallest else []),
    ]


def test_period(data: DataSummary) -> str:
    """From when the test texts are, if they are divided by time."""
    return f", these created on {data.test_from} or later" if data.test_from else ""


def interval_note(comparison: Comparison) -> str:
    """Explanation of the intervals."""
    seeds = len(comparison.seeds)
    own = f"± is a 95 % interval over {seeds} seeds (Student's t); a deterministic system has none."
    of_difference = "over test texts (paired bootstrap) and seeds."
    if seeds == 1:
        own = "One seed: scores have no interval."
        of_difference = "over test texts (paired bootstrap), which does not include the variance over seeds."
    return (
        f"{own} Differences are in weighted F1 after fine-tuning, to {comparison.baseline}, with a 95 % interval "
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


def thresholds(by_seed: Sequence[Sequence[float]]) -> str:
    """The threshold of each seed, or the range of all if they differ by label or are many.

    >>> thresholds([[0.31], [0.33]]), thresholds([[0.2, 0.3], [0.25]])
    ('0.31, 0.33', '3 values from 0.20 to 0.30')
    """
    values = [value for distinct in by_seed for value in distinct]
    if len(values) > len(by_seed) or len(values) > 6:
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


def _printable(comparison: Comparison) -> Comparison:
    """The comparison with all text free of control characters."""
    return from_json(printable(to_json(comparison)))


def _markdown(comparison: Comparison) -> str:
    systems, data = comparison.systems, comparison.data
    names = _union(system.metrics for system in systems)
    scores = {name: [system.metrics.get(name) for system in systems] for name in names}
    metrics = [
        [escape_markdown(name), *(f"{mean(score)} {spread(score)}".strip() for score in scores[name])] for name in names
    ]
    definitions = comparison.definitions
    defined = [name for name in names if name in definitions]
    listed = [f"- {escape_markdown(name)}: {escape_markdown(definitions[name])}" for name in defined]
    facts = {**comparison.recipe, "seeds": comparison.seeds}
    facts |= comparison.settings | comparison.made_from | comparison.versions
    return "\n".join(
        [
            f"# {escape_markdown(comparison.title)}\n",
            *(f"{escape_markdown(each)}\n" for each in (comparison.verdict, *comparison.equivalences)),
            markdown_table(comparison),
            *(f"{escape_markdown(note)}\n" for note in notes(comparison)),
            *(f"{escape_markdown(warning)}\n" for warning in comparison.warnings),
            f"{len(data.labels)} labels, {data.labels_per_text:.2f} per text; {data.train:,} training, "
            f"{data.dev:,} dev and {data.test:,} test texts{test_period(data)}.\n",
            *choice_lines(comparison.searches),
            *phase_lines(comparison),
            *_label_gain_lines(comparison),
            *_gain_lines("Gain against tokens", "tokens", comparison.gain_against_tokens, comparison.baseline),
            "## All metrics\n",
            markdown_lines(["", *(escape_markdown(system.name) for system in systems)], metrics),
            *listed,
            "\n## Settings and versions\n",
            *(f"- {escape_markdown(str(name))}: {escape_markdown(plain(value))}" for name, value in facts.items()),
            "",
        ]
    )


def _label_gain_lines(comparison: Comparison) -> list[str]:
    """The gain against labelled texts, with labels saved as a last column."""
    gains, baseline = comparison.gain_against_labels, comparison.baseline
    saved = [[label_worth(point.labels_saved)] for gain in gains for point in gain.points]
    sentences = label_worth_sentences(gains, baseline)
    sentences += [label_worth_note(baseline)] if sentences else []
    lines = _gain_lines("Gain against labelled texts", "texts", gains, baseline, (LABEL_WORTH_COLUMN, saved))
    return [*lines, *(f"{escape_markdown(sentence)}\n" for sentence in sentences)] if lines else []


def _gain_lines(
    title: str,
    unit: str,
    gains: Sequence[LabelGain | TokenGain],
    baseline: str,
    further: tuple[str, Sequence[list[str]]] | None = None,
) -> list[str]:
    """A table with a line for each point; `further` is a last column."""
    points = [(gain.name, point) for gain in gains for point in gain.points]
    lines = [
        [
            escape_markdown(name),
            f"{point.amount:,}",
            f"{mean(point.weighted_f1)} {spread(point.weighted_f1)}".strip(),
            difference(point.against_baseline),
            verdict(point.against_baseline, name == baseline),
        ]
        for name, point in points
    ]
    header = ["", unit, "weighted F1", "difference", ""]
    if further:
        header.append(further[0])
        lines = [line + cells for line, cells in zip(lines, further[1], strict=True)]
    return [f"## {title}\n", markdown_lines(header, lines)] if lines else []


def _union(mappings: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _page(comparison: Comparison) -> str:
    environment = page_environment(Path(__file__).parent)
    for function in (mean, spread, difference, verdict, duration, words_of, plain, thresholds, size, label_worth):
        environment.filters[function.__name__] = function
    systems = comparison.systems
    return environment.get_template("report.html.j2").render(
        **vars(comparison),
        plots=build_plots(comparison) | build_gain_plots(comparison),
        test_period=test_period(comparison.data),
        label_worth_column=LABEL_WORTH_COLUMN,
        label_worth_note=label_worth_note(comparison.baseline),
        label_worth_sentences=label_worth_sentences(comparison.gain_against_labels, comparison.baseline),
        choice_table=choice_table(comparison.searches),
        choice_title=CHOICE_TITLE,
        choice_note=choice_note(comparison.searches),
        phase_table=phase_table(comparison),
        phase_title=PHASE_TITLE,
        phase_note=PHASE_NOTE,
        metric_names=_union(system.metrics for system in systems),
        stage_names=_union(system.seconds for system in systems),
        run_indices=colour_indices(systems, [run.name for run in comparison.pretraining]),
        supports=labels_by_support(systems),
        label_metrics=[{entry.label: entry for entry in system.per_label} for system in systems],
        colours=COLOURS,
        glyphs=GLYPHS,
        notes=notes(comparison),
        max_labels=MAX_LABELS,
        max_tokens=MAX_TOKENS,
        example_candidates=EXAMPLE_CANDIDATES,
        min_probability=MIN_PROBABILITY,
        specials=SPECIALS,
        unknown=UNKNOWN,
        nothing=NOTHING,
    )
